"""Spring's XBS: one address for every command, the key in the question, everything with 200."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door


class Spring(Side):
    code = "spring"
    login: ClassVar = {"api_key": "xbs-1"}
    parcels = ("handed-over-and-delivered",)
    nobodys = "LV900900999NL"

    @door("POST", "mtapi.net", "/")
    def command(self, asked: Asked) -> Told:
        told = asked.document()
        asked.must(set(told) == {"Apikey", "Command", "Shipment"}, "key, command and shipment")
        self.wants(told["Apikey"] == self.login["api_key"], self.sample("key-refused"))
        self.spend()
        asked.must(told["Command"] == "TrackShipment", "the command")
        return self.about(told["Shipment"].get("TrackingNumber", ""), self.sample("not-found"))
