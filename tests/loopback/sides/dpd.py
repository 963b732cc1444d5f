"""DPD's web service: SOAP, with a token of its login service in the header of each question."""

from typing import ClassVar

from lxml import etree
from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door

TYPES = "http://dpd.com/common/service/types"
GRANT = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    f'<getAuthResponse xmlns="{TYPES}/LoginService/2.0"><return><delisId>d</delisId>'
    "<authToken>{}</authToken><depot>0516</depot></return></getAuthResponse></s:Body></s:Envelope>"
)


class Dpd(Side):
    code = "dpd"
    login: ClassVar = {"delis_id": "shop & co", "password": "p<w"}
    parcels = ("delivered", "to-a-parcelshop-abroad")
    nobodys = "05162900000045"

    @door("POST", "wsshipper.dpd.nl", "/soap/services/LoginService/V2_0")
    def token(self, asked: Asked) -> Told:
        _, question = asked.soap()
        asked.must(question.tag == f"{{{TYPES}/LoginService/2.0}}getAuth", "getAuth")
        self.its(question, password=self.login["password"])
        return Told(200, GRANT.format(self.grants.give("tok{}==")).encode())

    @door("POST", "wsshipper.dpd.nl", "/soap/services/ParcelLifeCycleService/V2_0")
    def track(self, asked: Asked) -> Told:
        login, question = asked.soap()
        asked.must(
            login is not None and login.tag == f"{{{TYPES}/Authentication/2.0}}authentication",
            "a login in the header",
        )
        assert login is not None
        self.its(login)
        self.wants(self.grants.takes(login.findtext("authToken", "")), self.sample("login-refused"))
        self.spend()
        wanted = f"{{{TYPES}/ParcelLifeCycleService/2.0}}getTrackingData"
        asked.must(question.tag == wanted, "getTrackingData")
        number = question.findtext("parcelLabelNumber", "")
        asked.must(len(number) == 14 and number.isdecimal(), "fourteen digits")
        return self.about(number, self.sample("nothing-reached-yet"))

    def its(self, told: "etree._Element", **more: str) -> None:
        """Whose account it is, and in which language they are spoken to."""
        wanted = {"delisId": self.login["delis_id"], "messageLanguage": "en_EN", **more}
        parts = {part.tag: part.text for part in told}
        self.wants(wanted.items() <= parts.items(), self.sample("login-refused"))
