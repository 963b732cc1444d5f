"""PostNord: key and number in the query; what is wrong with a number is told inside the 200."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door


class PostNord(Side):
    code = "postnord"
    login: ClassVar = {"api_key": "abc/1+2"}
    parcels = ("fetched-at-a-service-point",)
    nobodys = "87310000999SE"

    @door("GET", "api2.postnord.com", "/rest/shipment/v5/trackandtrace/findByIdentifier.json")
    def track(self, asked: Asked) -> Told:
        right = asked.parameters("apikey") == [self.login["api_key"]]
        self.wants(right, self.sample("key-refused"))
        self.spend()
        asked.must(asked.parameter("locale") in ("en", "sv", "da", "no", "fi"), "a language")
        return self.about(asked.parameter("id"), self.sample("nothing-known"))
