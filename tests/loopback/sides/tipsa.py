"""TIPSA's DinaPaq: SOAP of one address for several services, with a session in the header."""

from typing import ClassVar
from xml.sax.saxutils import escape

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door

TEMPURI = "{http://tempuri.org/}"
ENVELOPE = (
    '<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/" xmlns:v1="http://tempuri.org/">'
    "<E:Body>{}</E:Body></E:Envelope>"
)
GRANT = (
    "<v1:LoginWSService___LoginCli2Response><v1:Result>true</v1:Result>"
    "<v1:strSesion>{}</v1:strSesion><v1:strError>0</v1:strError>"
    "</v1:LoginWSService___LoginCli2Response>"
)
FAULT = "<E:Fault><faultcode>EROException</faultcode><faultstring>{}</faultstring></E:Fault>"
WRONG = "1: El cliente o la clave son incorrectos"


class Tipsa(Side):
    code = "tipsa"
    login: ClassVar = {"agency": "046012", "customer": "33333", "password": "p<w"}
    parcels = ("delivered",)
    nobodys = "0460120460127090009999"

    @door("POST", "ws.tipsa-dinapaq.com", "/SOAP")
    def answer(self, asked: Asked) -> Told:
        header, question = asked.soap()
        service, _, method = question.tag.removeprefix(TEMPURI).partition("___")
        asked.must(asked.parameter("service") == service, "the service of the question")
        told = {part.tag.removeprefix(TEMPURI): part.text or "" for part in question}
        if method == "LoginCli2":
            return self.session(asked, told)
        session = header.findtext(f"{TEMPURI}ID", "") if header is not None else ""
        self.wants(self.grants.takes(session), self.sample("session-lost"))
        self.spend()
        asked.must(method == "ConsEnvEstados", "a question about states")
        names = ("strCodAgeCargo", "strCodAgeOri", "strAlbaran")
        asked.must(tuple(told) == names, "agencies and number")
        return self.about("".join(told.values()), self.sample("nothing-known"))

    def session(self, asked: Asked, told: dict[str, str]) -> Told:
        asked.must(tuple(told) == ("strCodAge", "strCod", "strPass"), "a login")
        wrong = ENVELOPE.format(FAULT.format(escape(WRONG))).encode()
        self.wants(tuple(told.values()) == tuple(self.login.values()), Told(500, wrong))
        session = self.grants.give("{{9C1B6E50-000{}}}")
        return Told(200, ENVELOPE.format(GRANT.format(session)).encode())
