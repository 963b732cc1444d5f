"""DHL Paket over a real socket: a login and several numbers in one XML document of the query."""

from contextlib import AbstractAsyncContextManager

from aiohttp import web
from tests.carriers.loopback import connector, sample, serving

from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Credential, Found, Item, NotFound, Refused
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.samples import ReadsAnswers
from milepost.carriers.xml_tree import XmlTree, read_xml

LOGIN = Credential("operator", {"api_key": "k3y", "user": "shop & co", "password": 'p"<w'})
DELIVERED, UNKNOWN, ON_ITS_WAY = (f"0034043416200000{end}" for end in ("0012", "0043", "0029"))


def serving_paket(asked: list[XmlTree], logins: list[str]) -> AbstractAsyncContextManager[Fetcher]:
    async def track(request: web.Request) -> web.Response:
        assert request.headers["DHL-API-Key"] == "k3y"
        logins.append(request.headers.get("Authorization", ""))
        asked.append(read_xml(request.query["xml"].encode()))
        good = asked[-1].attribute("password") == 'p"<w'
        name = "delivered-to-a-neighbour-in-a-batch.xml" if good else "login-refused.xml"
        return web.Response(body=sample("dhl_de", name))

    return serving([web.get("/parcel/de/tracking/v0/shipments", track)], "api-eu.dhl.com")


async def test_several_numbers_are_one_question_and_each_reads_its_own_shipment() -> None:
    asked: list[XmlTree] = []
    logins: list[str] = []
    items = [Item("1", DELIVERED), Item("2", UNKNOWN), Item("3", ON_ITS_WAY[2:])]
    async with serving_paket(asked, logins) as fetcher:
        told = await connector("dhl_de").ask(items, LOGIN, fetcher)
        secret = Credential("operator", {**LOGIN.fields, "api_secret": "s3c"})
        await connector("dhl_de").ask(items[:1], secret, fetcher)
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
    async with serving_paket([], []) as fetcher:
        told = await connector("dhl_de").ask(items, wrong, fetcher)
    assert all(isinstance(one, Refused) and one.credential_refused for one in told.values())


def test_the_older_spelling_is_read_too() -> None:
    made = connector("dhl_de")
    assert isinstance(made, ReadsAnswers)
    body = sample("dhl_de", "announced-and-picked-up.xml")
    older = body
    for name in (b"piece-shipment", b"piece-event-list", b"piece-event"):
        older = older.replace(b'"%s"' % name, b'"%s"' % name.replace(b"-", b""))
    item = Item("1", ON_ITS_WAY)
    found = made.outcome(item, Answer(200, {}, body))
    assert isinstance(found, Found)
    told = made.outcome(item, Answer(200, {}, older))
    assert isinstance(told, Found)
    assert told.scans == found.scans
