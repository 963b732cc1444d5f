"""bpost over a real socket: the login in its header, and its plain-spoken unknown number."""

from aiohttp import BasicAuth, web
from aiohttp.test_utils import TestServer

from milepost.carriers.connector import Broken, Credential, Found, Item, NotFound, Refused
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue

CARRIER = Catalogue.load().get("bpost")
assert CARRIER is not None
LOGIN = Credential("operator", {"account_id": "100001", "passphrase": "s3 crét"})
KNOWN, UNKNOWN, BEHIND_A_PROXY = (f"32329990123456789012{end}" for end in ("3456", "9998", "0000"))


async def track(request: web.Request) -> web.Response:
    login = BasicAuth.decode(request.headers["Authorization"], encoding="utf-8")
    if (login.login, login.password) != ("100001", "s3 crét"):
        return web.Response(status=401, text="Unauthorized")
    match request.match_info["number"]:
        case number if number == KNOWN:
            assert CARRIER is not None
            return web.Response(body=(CARRIER.folder / "samples" / "delivered.xml").read_bytes())
        case number if number == UNKNOWN:
            return web.Response(status=404, text="No item found for this barcode")
    return web.Response(status=404, text="<!DOCTYPE html><html>Not here</html>")


async def ask(number: str, login: Credential = LOGIN) -> object:
    app = web.Application()
    app.add_routes([web.get("/services/trackedmail/item/{number}/trackingInfo", track)])
    connector = CARRIER.connector() if CARRIER else None
    assert connector is not None
    async with TestServer(app) as server:
        routes = {"api.parcel.bpost.cloud": str(server.make_url("/"))}
        async with Fetcher(routes=routes) as fetcher:
            item = Item("1", number)
            return (await connector.ask([item], login, fetcher))[item]


async def test_a_barcode_is_asked_about_with_the_login_in_the_header() -> None:
    found = await ask(KNOWN)
    assert isinstance(found, Found)
    assert found.scans[-1].raw_code == "U01"
    assert found.raw
    assert found.raw_type == "text/xml"


async def test_a_login_that_is_wrong_concerns_all() -> None:
    wrong = Credential("operator", {**LOGIN.fields, "passphrase": "no"})
    refused = await ask(KNOWN, wrong)
    assert isinstance(refused, Refused)
    assert refused.credential_refused


async def test_a_sentence_says_that_a_barcode_is_unknown_and_a_page_says_nothing() -> None:
    assert await ask(UNKNOWN) == NotFound()
    page = await ask(BEHIND_A_PROXY)
    assert isinstance(page, Broken)
    assert not page.lane_wide
