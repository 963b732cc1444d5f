"""UPS and DPD over a real socket: the login, the question, and a token that ran out."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from milepost.carriers.connector import Broken, Connector, Credential, Found, Item, Outcome, Refused
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.xml_tree import read_xml

UPS_LOGIN = Credential("operator", {"client_id": "shop", "client_secret": "s3cret"})
DPD_LOGIN = Credential("operator", {"delis_id": "shop & co", "password": "p<w", "country": "be"})
UPS_NUMBER, DPD_NUMBER = "1Z999AA10123456784", "05162900000014"


def carrier(code: str) -> Carrier:
    found = Catalogue.load().get(code)
    assert found is not None
    return found


def connector(code: str) -> Connector:
    made = carrier(code).connector()
    assert made is not None
    return made


def sample(code: str, name: str) -> bytes:
    return (carrier(code).folder / "samples" / name).read_bytes()


class Ups:
    """UPS as documented: a token by client credentials, then numbers by that token."""

    def __init__(self) -> None:
        self.tokens = 0
        self.good = ""
        self.asked: list[web.Request] = []

    async def token(self, request: web.Request) -> web.Response:
        assert await request.text() == "grant_type=client_credentials"
        if request.headers["Authorization"] != "Basic c2hvcDpzM2NyZXQ=":
            told = {"response": {"errors": [{"code": "10401", "message": "ClientId is Invalid"}]}}
            return web.json_response(told, status=401)
        self.tokens += 1
        self.good = f"token-{self.tokens}"
        return web.json_response({"access_token": self.good, "expires_in": "14399"})

    async def track(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if request.headers["Authorization"] != f"Bearer {self.good}":
            return web.Response(body=sample("ups", "token-refused.json"), status=401)
        if request.match_info["number"] != UPS_NUMBER:
            return web.Response(body=sample("ups", "number-refused.json"), status=400)
        return web.Response(body=sample("ups", "delivered-and-signed.json"))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/security/v1/oauth/token", self.token),
            web.get("/api/track/v1/details/{number}", self.track),
        ]


class Dpd:
    """DPD as documented: a login that gives a token, then numbers by that token."""

    def __init__(self) -> None:
        self.tokens = 0
        self.good = ""
        self.told: list[Mapping[str, str]] = []

    async def login(self, request: web.Request) -> web.Response:
        asked = read_xml(await request.read()).child("Body", "getAuth")
        if (asked.text("delisId"), asked.text("password")) != ("shop & co", "p<w"):
            return web.Response(body=sample("dpd", "login-refused.xml"), status=500)
        self.tokens += 1
        self.good = f"token{self.tokens}=="
        return web.Response(
            text="<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>"
            "<getAuthResponse xmlns='http://dpd.com/common/service/types/LoginService/2.0'><return>"
            f"<delisId>shop</delisId><authToken>{self.good}</authToken><depot>0516</depot>"
            "</return></getAuthResponse></s:Body></s:Envelope>"
        )

    async def track(self, request: web.Request) -> web.Response:
        root = read_xml(await request.read())
        login = root.child("Header", "authentication")
        number = root.text("Body", "getTrackingData", "parcelLabelNumber")
        self.told.append({"number": number, "action": request.headers["SOAPAction"]})
        if login.text("authToken") != self.good:
            return web.Response(body=sample("dpd", "login-refused.xml"), status=500)
        name = "delivered.xml" if number == DPD_NUMBER else "nothing-reached-yet.xml"
        return web.Response(body=sample("dpd", name))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/soap/services/LoginService/V2_0", self.login),
            web.post("/soap/services/ParcelLifeCycleService/V2_0", self.track),
        ]


@asynccontextmanager
async def serving(side: Ups | Dpd, host: str) -> AsyncIterator[Fetcher]:
    app = web.Application()
    app.add_routes(side.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with Fetcher(routes={host: base_url}) as fetcher:
            yield fetcher
    finally:
        await runner.cleanup()


async def ask(made: Connector, number: str, login: Credential, fetcher: Fetcher) -> Outcome:
    item = Item("1", number)
    return (await made.ask([item], login, fetcher))[item]


async def test_ups_is_asked_with_a_token_that_is_kept_and_replaced_when_refused() -> None:
    side, made = Ups(), connector("ups")
    async with serving(side, "onlinetools.ups.com") as fetcher:
        found = await ask(made, UPS_NUMBER, UPS_LOGIN, fetcher)
        assert isinstance(found, Found)
        assert found.signed_by == "OOSTERBAAN"
        assert found.raw
        await ask(made, UPS_NUMBER, UPS_LOGIN, fetcher)
        assert side.tokens == 1
        side.good = "another"
        assert isinstance(await ask(made, UPS_NUMBER, UPS_LOGIN, fetcher), Found)
        assert side.tokens == 2
    ids = [one.headers["transId"] for one in side.asked]
    assert len(set(ids)) == len(ids)
    assert {one.headers["transactionSrc"] for one in side.asked} == {"milepost"}
    assert {one.query_string for one in side.asked} == {"locale=en_US&returnSignature=false"}


async def test_a_ups_login_that_is_wrong_is_no_reason_to_ask_for_a_number() -> None:
    side = Ups()
    wrong = Credential("operator", {"client_id": "shop", "client_secret": "no"})
    async with serving(side, "onlinetools.ups.com") as fetcher:
        refused = await ask(connector("ups"), UPS_NUMBER, wrong, fetcher)
    assert isinstance(refused, Refused)
    assert refused.credential_refused
    assert side.asked == []


@pytest.mark.parametrize(
    ("number", "asked"), [("0516 2900 0000 14", DPD_NUMBER), ("05162900000014X", DPD_NUMBER)]
)
async def test_dpd_is_asked_in_soap_and_read(number: str, asked: str) -> None:
    side = Dpd()
    async with serving(side, "wsshipper.dpd.be") as fetcher:
        found = await ask(connector("dpd"), number, DPD_LOGIN, fetcher)
    assert isinstance(found, Found)
    assert found.scans[-1].raw_code == "Delivered"
    action = '"http://dpd.com/common/service/types/ParcelLifeCycleService/2.0/getTrackingData"'
    assert side.told == [{"number": asked, "action": action}]


async def test_dpds_token_is_replaced_once_and_a_refused_login_is_told() -> None:
    side, made = Dpd(), connector("dpd")
    async with serving(side, "wsshipper.dpd.be") as fetcher:
        await ask(made, DPD_NUMBER, DPD_LOGIN, fetcher)
        side.good = "another"
        assert isinstance(await ask(made, DPD_NUMBER, DPD_LOGIN, fetcher), Found)
        assert side.tokens == 2
        wrong = Credential("operator", {**DPD_LOGIN.fields, "password": "no"})
        refused = await ask(made, DPD_NUMBER, wrong, fetcher)
    assert isinstance(refused, Refused)
    assert refused.credential_refused
    assert "p<w" not in repr(DPD_LOGIN)


async def test_what_dpd_says_of_a_number_stays_out_of_the_log() -> None:
    class Strict(Dpd):
        async def track(self, request: web.Request) -> web.Response:
            return web.Response(
                text="<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>"
                f"<s:Fault><faultstring>{DPD_NUMBER} is not of shop</faultstring></s:Fault>"
                "</s:Body></s:Envelope>",
                status=500,
            )

    async with serving(Strict(), "wsshipper.dpd.be") as fetcher:
        outcome = await ask(connector("dpd"), DPD_NUMBER, DPD_LOGIN, fetcher)
    assert isinstance(outcome, Broken)
    assert DPD_NUMBER not in outcome.why


async def test_a_dpd_that_talks_html_is_broken_for_all() -> None:
    class Down(Dpd):
        async def track(self, request: web.Request) -> web.Response:
            return web.Response(text="<html><body>Be right back</body></html>")

    async with serving(Down(), "wsshipper.dpd.be") as fetcher:
        outcome = await ask(connector("dpd"), DPD_NUMBER, DPD_LOGIN, fetcher)
    assert isinstance(outcome, Broken)
    assert outcome.lane_wide
