"""FedEx: OAuth 2 with the client in the form; up to thirty numbers in one question."""

import json
from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, bearer_token, door, in_batches, text

NOBODYS = "TRACKING.TRACKINGNUMBER.NOTFOUND"


class FedEx(Side):
    code = "fedex"
    login: ClassVar = {"client_id": "l7", "client_secret": "s&s"}
    parcels = ("delivered-in-a-batch", "on-its-way-with-window")
    nobodys = "771300009999"

    @door("POST", "apis.fedex.com", "/oauth/token")
    def token(self, asked: Asked) -> Told:
        wanted = {"grant_type": "client_credentials", **self.login}
        refusal = {"errors": [{"code": "NOT.AUTHORIZED.ERROR", "message": "no"}]}
        self.wants(asked.form() == wanted, text(401, refusal))
        return bearer_token(self.grants.give(), scope="CXS")

    @door("POST", "apis.fedex.com", "/track/v1/trackingnumbers")
    def track(self, asked: Asked) -> Told:
        self.wants(self.grants.takes(asked.bearer()), self.sample("token-refused"))
        self.spend()
        question = asked.document()
        asked.must(question.get("includeDetailedScans") is True, "detailed scans")
        told = question.get("trackingInfo", [])
        numbers = [one["trackingNumberInfo"]["trackingNumber"] for one in told]
        asked.must(in_batches(numbers, 30), "thirty numbers at most")
        results = [self.result(number) for number in numbers]
        return text(200, {"transactionId": "1", "output": {"completeTrackResults": results}})

    def result(self, number: str) -> object:
        name = self.name_of(number)
        if name is None:
            of = {"trackingNumberInfo": {"trackingNumber": number}, "error": {"code": NOBODYS}}
            return {"trackingNumber": number, "trackResults": [of]}
        told = json.loads(self.sample(name).body)["output"]["completeTrackResults"]
        return next(one for one in told if one["trackingNumber"] == number)
