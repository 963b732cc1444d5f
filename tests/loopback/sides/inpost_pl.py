"""InPost's ShipX: anybody may ask about a number."""

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door


class InpostPl(Side):
    code = "inpost_pl"
    parcels = ("locker-to-locker-fetched",)
    nobodys = "630400904100000000009999"

    @door("GET", "api-shipx-pl.easypack24.net", "/v1/tracking/{number}")
    def track(self, asked: Asked) -> Told:
        self.spend()
        return self.about(asked.parts["number"], self.sample("not-found"))

    def over_quota(self) -> Told:
        return self.sample("over-quota")
