"""Correos: a token of CorreosID by a form, which it calls idToken; beside it the application's own
id and secret at the gateway, in two headers. Trackpub takes tokens of its own scope alone."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door, oauth_error, text


class Correos(Side):
    code = "correos"
    login: ClassVar = {
        "client_id": "cid",
        "client_secret": "cid secret",
        "gateway_client_id": "gw",
        "gateway_client_secret": "gw secret",
    }
    parcels = ("delivered-to-somebody",)
    nobodys = "PK4MLP0440928440109999X"

    @door("POST", "apioauthcid.correos.es", "/Api/Authorize/Token")
    def token(self, asked: Asked) -> Told:
        form = asked.form()
        asked.must(form.get("grant_type") == "client_credentials", "client credentials")
        asked.must(bool(form.get("scope")), "a scope")
        right = {name: form.get(name) for name in ("client_id", "client_secret")}
        self.wants(right.items() <= self.login.items(), oauth_error(400, "invalid_client"))
        # A token is granted for any scope; here the scope is a part of it.
        token = self.grants.give(f"eyJ.{{}}.{form['scope']}")
        return text(200, {"idToken": token, "tokenType": "Bearer", "expiresIn": 30})

    @door("GET", "api1.correos.es", "/support/trackpub/api/v2/search/{number}")
    def track(self, asked: Asked) -> Told:
        its = asked.bearer().endswith(".TPB") and self.grants.takes(asked.bearer())
        self.wants(its, self.sample("token-refused"))
        gateway = (asked.header("client_id"), asked.header("client_secret"))
        wanted = (self.login["gateway_client_id"], self.login["gateway_client_secret"])
        self.wants(gateway == wanted, text(403, {"error": "Forbidden"}))
        self.spend()
        return self.about(asked.parts["number"], self.sample("not-found"))
