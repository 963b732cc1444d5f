"""DHL Express's MyDHL API: HTTP Basic; a parameter for each waybill, one answer about all."""

import json
from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door, in_batches, text


class DhlExpress(Side):
    code = "dhl_express"
    login: ClassVar = {"username": "apX", "password": "Q$8z"}
    parcels = ("delivered-in-a-batch", "refused-and-returned")
    nobodys = "4823100999"

    @door("GET", "express.api.dhl.com", "/mydhlapi/tracking")
    def track(self, asked: Asked) -> Told:
        right = asked.login() == (self.login["username"], self.login["password"])
        self.wants(right, self.sample("login-refused"))
        self.spend()
        asked.must(asked.parameter("trackingView") == "all-checkpoints", "all checkpoints")
        numbers = asked.parameters("shipmentTrackingNumber")
        asked.must(in_batches(numbers, 100), "numbers")
        told = [self.shipment(number) for number in numbers]
        if len(numbers) == 1 and told[0]["status"] == "Failure":
            return self.sample("not-found")
        return text(200, {"shipments": told})

    def shipment(self, number: str) -> dict[str, object]:
        name = self.name_of(number)
        unknown = {"shipmentTrackingNumber": number, "status": "Failure", "events": []}
        told = json.loads(self.sample(name).body)["shipments"] if name else [unknown]
        (its,) = (one for one in told if one["shipmentTrackingNumber"] == number)
        return dict(its)
