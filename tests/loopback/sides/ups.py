"""UPS: OAuth 2 with the client in a Basic header; each question has an id that was not used yet."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, bearer_token, door


class Ups(Side):
    code = "ups"
    login: ClassVar = {"client_id": "shop", "client_secret": "s3cret"}
    parcels = ("delivered-and-signed", "on-its-way-with-window")
    nobodys = "1Z999AA10199999993"

    @door("POST", "onlinetools.ups.com", "/security/v1/oauth/token")
    def token(self, asked: Asked) -> Told:
        right = asked.login() == (self.login["client_id"], self.login["client_secret"])
        self.wants(right, self.sample("token-refused"))
        asked.must(asked.form() == {"grant_type": "client_credentials"}, "client credentials")
        return bearer_token(self.grants.give(), expires_in="14399", status="approved")

    @door("GET", "onlinetools.ups.com", "/api/track/v1/details/{number}")
    def track(self, asked: Asked) -> Told:
        self.wants(self.grants.takes(asked.bearer()), self.sample("token-refused"))
        self.spend()
        asked.must(self.fresh("transId", asked.header("transId")), "an id of its own")
        asked.must(bool(asked.header("transactionSrc")), "who asks")
        return self.about(asked.parts["number"], self.sample("not-found"))
