"""PostNL: a key in a header, the number in the path; no shipment is a warning in the 200."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door


class PostNL(Side):
    code = "postnl"
    login: ClassVar = {"api_key": "key-3S"}
    parcels = ("delivered-next-day", "missed-then-pickup-point")
    nobodys = "3SMLPT199999999"

    @door("GET", "api.postnl.nl", "/shipment/v2/status/barcode/{number}")
    def status(self, asked: Asked) -> Told:
        right = asked.header("apikey") == self.login["api_key"]
        self.wants(right, self.sample("key-refused"))
        self.spend()
        asked.must(asked.parameter("detail") == "true", "details")
        asked.must(asked.parameter("language") in ("NL", "EN", "DE", "FR"), "a language")
        return self.about(asked.parts["number"], self.sample("no-shipment"))
