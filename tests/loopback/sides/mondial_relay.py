"""Mondial Relay: SOAP of ASP.NET; each question ends with the MD5 of all it asks and the key."""

from hashlib import md5
from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door

SERVICE = "{http://www.mondialrelay.fr/webservice/}"
ASKED = "WSI2_TracingColisDetaille"


class MondialRelay(Side):
    code = "mondial_relay"
    login: ClassVar = {"brand_id": "BDTEST13", "private_key": "PrivateK"}
    parcels = ("fetched-from-a-relay",)
    nobodys = "99999999"

    @door("POST", "api.mondialrelay.com", "/Web_Services.asmx")
    def track(self, asked: Asked) -> Told:
        action = asked.header("SOAPAction").strip('"')
        asked.must(action == SERVICE.strip("{}") + ASKED, "the action")
        _, question = asked.soap()
        names = [f"{SERVICE}{name}" for name in ("Enseigne", "Expedition", "Langue", "Security")]
        asked.must(question.tag == SERVICE + ASKED and [one.tag for one in question] == names, "it")
        shop, number, language, signature = (part.text or "" for part in question)
        told = f"{shop}{number}{language}{self.login['private_key']}".encode()
        signed = signature == md5(told, usedforsecurity=False).hexdigest().upper()
        its = shop == self.login["brand_id"] and signed
        self.wants(its, self.sample("signature-refused"))
        self.spend()
        return self.about(number, self.sample("number-unknown"))
