"""GEODIS over a real socket: a question whose every part is signed, at the time it is asked."""

import time
from hashlib import sha256

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from milepost.carriers.connector import Broken, Credential, Found, Item, Outcome, Refused
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue
from milepost.carriers.samples import ReadsAnswers
from milepost.catalogue.geodis.connector import request, signature

CARRIER = Catalogue.load().get("geodis")
assert CARRIER is not None
CONNECTOR = CARRIER.connector()
LOGIN = Credential("operator", {"login": "shop", "api_key": "k3y"})
SERVICE = "api/zoomclient/recherche-envoi"


async def track(asked: web.Request) -> web.Response:
    login, now, language, stated = asked.headers["X-GEODIS-Service"].split(";")
    assert abs(int(now) / 1000 - time.time()) < 60
    body = await asked.text()
    told = ";".join(("k3y", login, now, language, SERVICE, body))
    known = (login, stated) == ("shop", sha256(told.encode()).hexdigest())
    name = "delivered" if known else "login-refused"
    assert orjson.loads(body) == {"noSuivi": "1G7QWERT2U8P"}
    assert CARRIER is not None
    return web.Response(body=(CARRIER.folder / "samples" / f"{name}.json").read_bytes())


async def ask(login: Credential) -> Outcome:
    assert CONNECTOR is not None
    app = web.Application()
    app.add_routes([web.post(f"/services/{SERVICE}", track)])
    async with TestServer(app) as server:
        routes = {"espace-client.geodis.com": str(server.make_url("/"))}
        async with Fetcher(routes=routes) as fetcher:
            item = Item("1", "1g7q wert 2u8p")
            return (await CONNECTOR.ask([item], login, fetcher))[item]


async def test_a_signed_question_is_answered() -> None:
    found = await ask(LOGIN)
    assert isinstance(found, Found)
    assert found.scans[-1].raw_code == "LIV/CFM"
    refused = await ask(Credential("operator", {"login": "shop", "api_key": "other"}))
    assert isinstance(refused, Refused)
    assert refused.credential_refused


def test_the_signature_covers_who_when_and_what() -> None:
    # What sha256sum says of "k3y;shop;1700000000000;fr;api/zoomclient/recherche-envoi;{}".
    digest = "da7fa88b3da851c09addc93d738bc357fd7324cf7050821edc743d778733b532"
    assert signature(LOGIN, "{}", 1_700_000_000_000) == f"shop;1700000000000;fr;{digest}"


def test_its_own_reference_has_another_name() -> None:
    assert CARRIER is not None
    asked = request(CARRIER.manifest, Item("1", "3004410022"), LOGIN)
    assert asked.body == b'{"refUniExp":"3004410022"}'


def test_a_404_is_an_unknown_number_only_in_geodis_own_words() -> None:
    assert isinstance(CONNECTOR, ReadsAnswers)
    page = Answer(404, {}, b'{"message": "no route matched"}')
    told = CONNECTOR.outcome(Item("1", "1G7QWERT2U8P"), page)
    assert isinstance(told, Broken)
