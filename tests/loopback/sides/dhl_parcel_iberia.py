"""DHL Parcel Iberia's cimapi: the answer to a login is the token, as a JSON text and no more."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door, text


class DhlParcelIberia(Side):
    code = "dhl_parcel_iberia"
    login: ClassVar = {"username": "u", "password": "p"}
    parcels = ("delivered-and-received",)
    nobodys = "4690009999"

    @door("POST", "external.dhl.es", "/cimapi/api/v1/customer/authenticate")
    def token(self, asked: Asked) -> Told:
        right = {"Username": self.login["username"], "Password": self.login["password"]}
        self.wants(asked.document() == right, text(401, {"Message": "Unauthorized"}))
        return text(200, self.grants.give("jwt.{}.x"))

    @door("GET", "external.dhl.es", "/cimapi/api/v1/customer/track")
    def track(self, asked: Asked) -> Told:
        self.wants(self.grants.takes(asked.bearer()), self.sample("token-refused"))
        self.spend()
        asked.must(asked.parameter("show") in ("events", "status", "both"), "what to show")
        asked.must(asked.parameter("idioma") in ("es", "en"), "a language")
        return self.about(asked.parameter("id"), self.sample("not-found"))
