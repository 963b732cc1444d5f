"""GLS Group: OAuth 2; up to ten numbers in the path, a missing one is told inside the 200."""

import json
from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, bearer_token, door, in_batches, oauth_error, text


class GlsEu(Side):
    code = "gls_eu"
    login: ClassVar = {"client_id": "app", "client_secret": "s&s"}
    parcels = ("delivered-in-a-batch", "fetched-from-a-shop")
    nobodys = "60483170099"

    @door("POST", "api.gls-group.net", "/oauth2/v2/token")
    def token(self, asked: Asked) -> Told:
        form = asked.form()
        asked.must(form.pop("grant_type", "") == "client_credentials", "client credentials")
        right = form == self.login or asked.login() == tuple(self.login.values())
        self.wants(right, oauth_error(401, "invalid_client"))
        return bearer_token(self.grants.give(), expires_in="3599")

    @door("GET", "api.gls-group.net", "/track-and-trace-v1/tracking/simple/trackids/{numbers}")
    def track(self, asked: Asked) -> Told:
        self.wants(self.grants.takes(asked.bearer()), self.sample("token-refused"))
        self.spend()
        numbers = asked.parts["numbers"].split(",")
        asked.must(in_batches(numbers, 10), "ten numbers at most")
        return text(200, {"parcels": [self.parcel(number) for number in numbers]})

    def parcel(self, number: str) -> object:
        name = self.name_of(number)
        if name is None:
            return {"requested": number, "errorCode": "E_404_01", "errorMessage": "Not Found"}
        told = json.loads(self.sample(name).body)["parcels"]
        return next(one for one in told if one["requested"] == number)
