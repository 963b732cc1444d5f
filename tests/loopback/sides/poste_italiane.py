"""Poste Delivery Business: a session by JSON in its own words; the client's id with everything."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, bearer_token, door, oauth_error

WHOLE = {"statusDescription", "customerType", "shipmentsData"}


class PosteItaliane(Side):
    code = "poste_italiane"
    login: ClassVar = {"client_id": "cid", "client_secret": "s3cret"}
    parcels = ("delivered",)
    nobodys = "5P38J90M49999"

    @door("POST", "apiw.gp.posteitaliane.it", "/gp/internet/user/sessions")
    def token(self, asked: Asked) -> Told:
        told = asked.document()
        asked.must(asked.header("POSTE_clientID") == told.get("clientId"), "the client's id")
        asked.must(told.get("grantType") == "client_credentials", "client credentials")
        asked.must(bool(told.get("scope")), "a scope")
        right = (told.get("clientId"), told.get("secretId")) == tuple(self.login.values())
        self.wants(right, oauth_error(401, "invalid_client"))
        return bearer_token(self.grants.give(), expires_in=3599)

    @door("POST", "apiw.gp.posteitaliane.it", "/gp/internet/postalandlogistics/parcel/tracking")
    def track(self, asked: Asked) -> Told:
        self.wants(self.grants.takes(asked.bearer()), self.sample("token-refused"))
        asked.must(asked.header("POSTE_clientID") == self.login["client_id"], "the client's id")
        self.spend()
        question = asked.document().get("arg0", {})
        asked.must(set(question) == WHOLE and len(question["shipmentsData"]) == 1, "a question")
        (waybill,) = question["shipmentsData"]
        asked.must(waybill.get("lastTracingState") == "N", "all states")
        return self.about(waybill["waybillNumber"], self.sample("not-found"))
