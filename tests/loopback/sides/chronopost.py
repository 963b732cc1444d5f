"""Chronopost: SOAP without a login; a number it does not know has no events."""

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door

ASKED = "{http://cxf.tracking.soap.chronopost.fr/}trackSkybillV2"


class Chronopost(Side):
    code = "chronopost"
    parcels = ("delivered-and-signed",)
    nobodys = "XC987654326FR"

    @door("POST", "ws.chronopost.fr", "/tracking-cxf/TrackingServiceWS")
    def track(self, asked: Asked) -> Told:
        _, question = asked.soap()
        told = {part.tag: part.text for part in question}
        asked.must(question.tag == ASKED and set(told) == {"language", "skybillNumber"}, "V2")
        asked.must(told["language"] in ("fr_FR", "en_GB"), "a language")
        self.spend()
        number = told["skybillNumber"] or ""
        return self.about(number, self.sample("nothing-known-yet", number))
