"""Amazon Shipping: Login with Amazon exchanges a refresh token; a header of its own has the token,
and one that ran out is refused with 403."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, bearer_token, door, oauth_error


class Amazon(Side):
    code = "amazon"
    login: ClassVar = {
        "client_id": "amzn1.app",
        "client_secret": "a secret",
        "refresh_token": "Atzr|1",
    }
    more: ClassVar = {"carrier_id": "AMZN_UK"}
    parcels = ("delivered-and-received", "on-the-round")
    nobodys = "TBM700800900999"

    @door("POST", "api.amazon.com", "/auth/o2/token")
    def token(self, asked: Asked) -> Told:
        form = asked.form()
        asked.must(form.get("grant_type") == "refresh_token", "a refresh token")
        right = {name: form.get(name) for name in ("client_id", "client_secret")}
        self.wants(right.items() <= self.login.items(), oauth_error(401, "invalid_client"))
        known = form.get("refresh_token") == self.login["refresh_token"]
        self.wants(known, oauth_error(400, "invalid_grant"))
        return bearer_token(self.grants.give("Atza|{}"))

    @door("GET", "sellingpartnerapi-eu.amazon.com", "/shipping/v2/tracking")
    def track(self, asked: Asked) -> Told:
        token = asked.header("x-amz-access-token")
        self.wants(self.grants.takes(token), self.sample("not-allowed"))
        self.spend()
        its = asked.parameter("carrierId") == self.more["carrier_id"]
        self.wants(its, self.sample("carrier-id-missing"))
        return self.about(asked.parameter("trackingId"), self.sample("number-unknown"))

    def over_quota(self) -> Told:
        return self.sample("too-many-questions")
