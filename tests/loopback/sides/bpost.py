"""bpost: HTTP Basic, the item in the path; an item it does not know is told in a sentence."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door


class Bpost(Side):
    code = "bpost"
    login: ClassVar = {"account_id": "112233", "passphrase": "open sesame"}
    parcels = ("delivered", "on-the-round")
    nobodys = "323299901234567890129999"

    @door("GET", "api.parcel.bpost.cloud", "/services/trackedmail/item/{number}/trackingInfo")
    def track(self, asked: Asked) -> Told:
        right = asked.login() == (self.login["account_id"], self.login["passphrase"])
        self.wants(right, Told(401, b"Unauthorized"))
        self.spend()
        unknown = Told(404, b"No tracking information was found for this item")
        return self.about(asked.parts["number"], unknown)
