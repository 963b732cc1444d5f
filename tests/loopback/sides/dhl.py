"""DHL Shipment Tracking - Unified: a key in a header, the number a parameter."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door


class Dhl(Side):
    code = "dhl"
    login: ClassVar = {"api_key": "key-51f0c2"}
    parcels = ("parcel-de-neighbour-autumn-night", "attempted-then-locker")
    nobodys = "JVGL0999999990"

    @door("GET", "api-eu.dhl.com", "/track/shipments")
    def track(self, asked: Asked) -> Told:
        right = asked.header("DHL-API-Key") == self.login["api_key"]
        self.wants(right, self.sample("key-refused"))
        self.spend()
        return self.about(asked.parameter("trackingNumber"), self.sample("not-found"))
