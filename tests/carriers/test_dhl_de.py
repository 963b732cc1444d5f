"""DHL Paket over a real socket: a login and several numbers in one XML document of the query."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Connector, Credential, Found, Item, NotFound, Refused
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue
from milepost.carriers.samples import ReadsAnswers
from milepost.carriers.xml_tree import XmlTree, read_xml

CARRIER = Catalogue.load().get("dhl_de")
assert CARRIER is not None
SAMPLES = CARRIER.folder / "samples"
LOGIN = Credential("operator", {"api_key": "k3y", "user": "shop & co", "password": 'p"<w'})
DELIVERED, UNKNOWN, ON_ITS_WAY = (f"0034043416200000{end}" for end in ("0012", "0043", "0029"))


def connector() -> Connector:
    assert CARRIER is not None
    made = CARRIER.connector()
    assert made is not None
    return made


@asynccontextmanager
async def serving(asked: list[XmlTree], logins: list[str]) -> AsyncIterator[Fetcher]:
    async def track(request: web.Request) -> web.Response:
        assert request.headers["DHL-API-Key"] == "k3y"
        logins.append(request.headers.get("Authorization", ""))
        asked.append(read_xml(request.query["xml"].encode()))
        good = asked[-1].attribute("password") == 'p"<w'
        name = "delivered-to-a-neighbour-in-a-batch.xml" if good else "login-refused.xml"
        return web.Response(body=(SAMPLES / name).read_bytes())

    app = web.Application()
    app.router.add_get("/parcel/de/tracking/v0/shipments", track)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    route = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with Fetcher(routes={"api-eu.dhl.com": route}) as fetcher:
            yield fetcher
    finally:
        await runner.cleanup()


async def test_several_numbers_are_one_question_and_each_reads_its_own_shipment() -> None:
    asked: list[XmlTree] = []
    logins: list[str] = []
    items = [Item("1", DELIVERED), Item("2", UNKNOWN), Item("3", ON_ITS_WAY[2:])]
    async with serving(asked, logins) as fetcher:
        told = await connector().ask(items, LOGIN, fetcher)
        secret = Credential("operator", {**LOGIN.fields, "api_secret": "s3c"})
        await connector().ask(items[:1], secret, fetcher)
    question = asked[0]
    assert question.attribute("request") == "d-get-piece-detail"
    assert question.attribute("appname") == "shop & co"
    assert question.attribute("piece-code") == f"{DELIVERED};{UNKNOWN};{ON_ITS_WAY[2:]}"
    assert logins == ["", basic("k3y", "s3c")]
    found, unknown, under_way = (told[item] for item in items)
    assert isinstance(found, Found)
    assert found.scans[-1].reading.sub_status == "neighbour"
    assert ON_ITS_WAY.encode() not in found.raw
    assert unknown == NotFound()
    assert isinstance(under_way, Found)
    assert under_way.scans[-1].raw_code == "AE"


async def test_a_wrong_login_is_told_to_everybody() -> None:
    wrong = Credential("operator", {**LOGIN.fields, "password": "no"})
    items = [Item("1", DELIVERED), Item("2", UNKNOWN)]
    async with serving([], []) as fetcher:
        told = await connector().ask(items, wrong, fetcher)
    assert all(isinstance(one, Refused) and one.credential_refused for one in told.values())


def test_the_older_spelling_is_read_too() -> None:
    made = connector()
    assert isinstance(made, ReadsAnswers)
    body = (SAMPLES / "announced-and-picked-up.xml").read_bytes()
    older = body
    for name in (b"piece-shipment", b"piece-event-list", b"piece-event"):
        older = older.replace(b'"%s"' % name, b'"%s"' % name.replace(b"-", b""))
    item = Item("1", ON_ITS_WAY)
    found = made.outcome(item, Answer(200, {}, body))
    assert isinstance(found, Found)
    told = made.outcome(item, Answer(200, {}, older))
    assert isinstance(told, Found)
    assert told.scans == found.scans
