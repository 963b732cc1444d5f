"""TIPSA over a real socket: its session, its numbers, and what an incidence is about."""

from xml.sax.saxutils import escape

import orjson
import pytest
from aiohttp import web
from tests.carriers.loopback import ask, connector, sample, serving

from milepost.carriers.connector import Broken, Credential, Found, Outcome, Refused
from milepost.carriers.xml_tree import read_xml
from milepost.tracking.vocabulary import ExceptionCode, Phase, SubStatus

HOST = "ws.tipsa-dinapaq.com"
LOGIN = Credential("operator", {"agency": "046012", "customer": "33333", "password": "p<w"})
NUMBER = "7090001234"
INCIDENCE_AT = "11/04/2026 12:44:10"


def envelope(body: str) -> web.Response:
    return web.Response(
        text='<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/" '
        f'xmlns:v1="http://tempuri.org/"><E:Body>{body}</E:Body></E:Envelope>'
    )


def fault(code: str, text: str) -> web.Response:
    told = envelope(
        f"<E:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring></E:Fault>"
    )
    told.set_status(500)
    return told


def incidences(*rows: tuple[str, str]) -> web.Response:
    told = "".join(
        f'<ENV_INCIDENCIAS I_ID="{place}" V_COD_TIPO_INC="{kind}" D_FEC_HORA_ALTA="{at}"'
        ' T_OBS="no"/>'
        for place, (kind, at) in enumerate(rows)
    )
    name = "WebServService___ConsEnvIncidenciasResponse"
    table = escape(f"<CONSULTA>{told}</CONSULTA>")
    return envelope(f"<v1:{name}><v1:strEnvIncidencias>{table}</v1:strEnvIncidencias></v1:{name}>")


class Tipsa:
    """TIPSA as its customers meet it."""

    def __init__(self, told: web.Response | None = None, login: web.Response | None = None) -> None:
        self.sessions = 0
        self.good = ""
        self.asked: list[tuple[str, ...]] = []
        self.told = told
        self.login = login

    async def answer(self, request: web.Request) -> web.Response:
        root = read_xml(await request.read())
        question = next(root.child("Body").children())
        service, _, method = question.name.partition("___")
        assert request.query["service"] == service
        assert request.headers["SOAPAction"] == f'"urn:DinaPaq-{service}#{method}"'
        if method == "LoginCli2":
            return self._login(tuple(part.text() for part in question.children()))
        if root.text("Header", "ROClientIDHeader", "ID") != self.good:
            return fault("EROSessionNotFound", "Session could not be found")
        self.asked.append((method, *(part.text() for part in question.children())))
        if method == "ConsEnvEstados":
            return web.Response(body=sample("tipsa", "incidence-then-point.xml"))
        told = self.told or fault("EConvertError", "no")
        return web.Response(status=told.status, body=told.body)  # one is sent once only

    def _login(self, told: tuple[str, ...]) -> web.Response:
        if self.login is not None:
            return self.login
        assert told == ("046012", "33333", "p<w")
        self.sessions += 1
        self.good = f"{{9C1B6E50-000{self.sessions}}}"
        name = "LoginWSService___LoginCli2Response"
        return envelope(
            f"<v1:{name}><v1:Result>true</v1:Result><v1:strSesion>{self.good}</v1:strSesion>"
            f"<v1:strError>0</v1:strError></v1:{name}>"
        )


async def ask_about(side: Tipsa, number: str = NUMBER) -> Outcome:
    async with serving([web.post("/SOAP", side.answer)], HOST) as fetcher:
        return await ask(connector("tipsa"), number, LOGIN, fetcher)


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        (NUMBER, ("046012", "046012", NUMBER)),
        ("028001 009004 7090001234", ("028001", "009004", NUMBER)),
    ],
)
async def test_a_long_number_brings_its_agencies(number: str, parts: tuple[str, ...]) -> None:
    side = Tipsa(incidences(("AS", INCIDENCE_AT)))
    assert isinstance(await ask_about(side, number), Found)
    assert side.asked == [("ConsEnvEstados", *parts), ("ConsEnvIncidencias", *parts)]


async def test_an_incidence_is_read_as_what_it_is_about_and_stays_the_same_scan() -> None:
    found = await ask_about(Tipsa(incidences(("AS", INCIDENCE_AT))))
    assert isinstance(found, Found)
    scan = found.scans[3]
    assert (scan.raw_code, scan.scan_class) == ("4/AS", "4")
    assert (scan.reading.phase, scan.reading.sub_status) == (Phase.ATTEMPTED, SubStatus.NOT_HOME)
    assert scan.raw_fields == {"courier": "011", "incidence": "AS", "remark": "no"}
    assert found.scans[4].raw_code == "14"
    # Both answers are kept as they came.
    states, causes = orjson.loads(found.raw)
    assert found.raw_type == "application/json"
    assert "ConsEnvEstadosResponse" in states
    assert "ConsEnvIncidenciasResponse" in causes


@pytest.mark.parametrize(
    "told",
    [
        incidences(("ROBOT", INCIDENCE_AT)),
        incidences(("AS", "11/01/2026 01:00:00"), ("C", "11/02/2026 01:00:00")),
        incidences(),
        envelope("<v1:Other/>"),
        web.Response(text="<html>later</html>"),
        web.Response(status=503),
        None,
    ],
    ids=["unknown", "other times", "none", "another answer", "a page", "down", "a fault"],
)
async def test_an_incidence_nobody_explains_is_still_one(told: web.Response | None) -> None:
    found = await ask_about(Tipsa(told))
    assert isinstance(found, Found)
    scan = found.scans[3]
    assert (scan.raw_code, scan.scan_class) == ("4", "4")
    assert (scan.reading.phase, scan.reading.exception) == (Phase.IN_TRANSIT, ExceptionCode.UNKNOWN)


async def test_a_session_that_was_lost_is_replaced_once() -> None:
    side, made = Tipsa(incidences(("AS", INCIDENCE_AT))), connector("tipsa")
    async with serving([web.post("/SOAP", side.answer)], HOST) as fetcher:
        await ask(made, NUMBER, LOGIN, fetcher)
        assert side.sessions == 1
        side.good = "another"
        assert isinstance(await ask(made, NUMBER, LOGIN, fetcher), Found)
    assert side.sessions == 2


async def test_a_wrong_login_a_blocked_address_and_a_fault_are_told_apart() -> None:
    wrong = await ask_about(Tipsa(login=fault("Exception", "1: Cliente o password incorrecto.")))
    blocked = await ask_about(Tipsa(login=fault("Exception", "3: IP bloqueada.")))
    broken = await ask_about(Tipsa(login=fault("EConvertError", "Out of range")))
    assert isinstance(wrong, Refused)
    assert wrong.credential_refused
    assert isinstance(blocked, Refused)
    assert (blocked.credential_refused, blocked.retry_after) == (False, 600)
    assert isinstance(broken, Broken)
