"""Royal Mail's Tracking v2: id and secret in IBM's headers, and a word that one knows the terms."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door


class RoyalMail(Side):
    code = "royal_mail"
    login: ClassVar = {"client_id": "ibm-id", "client_secret": "ibm-secret"}
    parcels = ("delivered-and-signed", "on-its-way-with-window")
    nobodys = "WQ200000999GB"

    @door("GET", "api.royalmail.net", "/mailpieces/v2/{number}/events")
    def events(self, asked: Asked) -> Told:
        client = (asked.header("X-IBM-Client-Id"), asked.header("X-IBM-Client-Secret"))
        self.wants(client == tuple(self.login.values()), self.sample("client-not-registered"))
        self.spend()
        asked.must(asked.header("X-Accept-RMG-Terms") == "yes", "that the terms are known")
        return self.about(asked.parts["number"], self.sample("barcode-not-recognised"))

    def over_quota(self) -> Told:
        return self.sample("too-many-questions")
