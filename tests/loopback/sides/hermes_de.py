"""Hermes Germany's HSI: OAuth 2's password grant, a client's id and secret beside the user's."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, bearer_token, door, oauth_error


class HermesDe(Side):
    code = "hermes_de"
    login: ClassVar = {
        "username": "u",
        "password": "p:w",
        "client_id": "hsi.shop",
        "client_secret": "s",
    }
    parcels = ("delivered",)
    nobodys = "40900000009999"

    @door("POST", "authme.myhermes.de", "/authorization-facade/oauth2/access_token")
    def token(self, asked: Asked) -> Told:
        wanted = {"grant_type": "password", **self.login}
        self.wants(asked.form() == wanted, oauth_error(400, "invalid_grant"))
        return bearer_token(self.grants.give())

    @door("GET", "de-api.hermesworld.com", "/services/hsi/shipmentinfo")
    def track(self, asked: Asked) -> Told:
        self.wants(self.grants.takes(asked.bearer()), self.sample("token-refused"))
        self.spend()
        number = asked.parameter("shipmentID")
        return self.about(number, self.sample("not-found", number))
