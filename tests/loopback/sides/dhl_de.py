"""DHL Paket: an XML document in the query, with a user's login in it; the app's key in a header."""

from typing import ClassVar

from lxml import etree
from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door, in_batches

UNKNOWN = (
    '<data name="piece-shipment" error-status="100" searched-piece-code="{}" status="No data"/>'
)


class DhlDe(Side):
    code = "dhl_de"
    login: ClassVar = {"api_key": "key-77", "user": "zt12345", "password": "p<w"}
    parcels = ("delivered-to-a-neighbour-in-a-batch", "refused-abroad-and-returned")
    nobodys = "00340434162000000999"

    @door("GET", "api-eu.dhl.com", "/parcel/de/tracking/v0/shipments")
    def track(self, asked: Asked) -> Told:
        right = asked.header("DHL-API-Key") == self.login["api_key"]
        self.wants(right, Told(401, b'{"status": 401, "title": "Unauthorized"}'))
        try:
            question = etree.fromstring(asked.parameter("xml").encode())
        except etree.XMLSyntaxError:
            asked.misasked("a document in the query")
        user = (question.get("appname"), question.get("password"))
        self.wants(
            user == (self.login["user"], self.login["password"]), self.sample("login-refused")
        )
        self.spend()
        asked.must(
            question.tag == "data" and question.get("request") == "d-get-piece-detail", "details"
        )
        asked.must(question.get("language-code") in ("de", "en"), "a language")
        numbers = question.get("piece-code", "").split(";")
        asked.must(in_batches(numbers, 15), "several numbers")
        return self.several(numbers)

    def several(self, numbers: list[str]) -> Told:
        """The pieces of all that are known; where none is, the list itself says so."""
        if not set(numbers) & set(self.known()):
            return self.sample("no-data")
        whole = etree.fromstring(self.sample("no-data-in-a-batch").body)
        whole[:] = [piece for number in numbers for piece in self.pieces(number)]
        return Told(200, etree.tostring(whole))

    def pieces(self, number: str) -> "list[etree._Element]":
        name = self.name_of(number)
        if name is None:
            return [etree.fromstring(UNKNOWN.format(number))]
        told = etree.fromstring(self.sample(name).body)
        return [one for one in told if one.get("searched-piece-code") == number]
