"""La Poste over a real socket: ten numbers in one question, and what becomes of each."""

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    Refused,
)
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue
from milepost.carriers.samples import ReadsAnswers

CARRIER = Catalogue.load().get("colissimo")
assert CARRIER is not None
KEY = Credential("operator", {"api_key": "okapi"})
LETTER, ON_ITS_WAY, UNKNOWN, FAULTY = (
    Item(number, number)
    for number in ("1K00011122233", "6A98765432109", "6A00000000000", "8R99999999999")
)
SPOILT = Item("spoilt", "no number")


def sample(name: str) -> bytes:
    assert CARRIER is not None
    return (CARRIER.folder / "samples" / f"{name}.json").read_bytes()


class LaPoste:
    """Suivi v2 as documented: one shipment, or a list where several were asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def track(self, request: web.Request) -> web.Response:
        numbers = request.match_info["numbers"].split(",")
        self.asked.append(request.match_info["numbers"])
        assert request.query_string == "lang=fr_FR"
        if request.headers["X-Okapi-Key"] != "okapi":
            return web.Response(body=sample("key-refused"), status=401)
        if "NONUMBER" in numbers:
            return web.Response(text="Cannot be read", status=404)
        told = {
            one.get("idShip") or one["shipment"]["idShip"]: one
            for one in orjson.loads(sample("several-the-letter"))
        }
        entries = [told[number] for number in numbers]
        if len(entries) == 1:
            return web.json_response(entries[0], status=entries[0]["returnCode"])
        return web.json_response(entries, status=207)


def routes_to(server: BaseTestServer) -> dict[str, str]:
    return {"api.laposte.fr": str(server.make_url("/"))}


async def ask(
    items: list[Item], credential: Credential = KEY
) -> tuple[dict[Item, Outcome], LaPoste]:
    side, app = LaPoste(), web.Application()
    app.add_routes([web.get("/suivi/v2/idships/{numbers}", side.track)])
    connector: Connector | None = CARRIER.connector() if CARRIER else None
    assert connector is not None
    async with TestServer(app) as server, Fetcher(routes=routes_to(server)) as fetcher:
        return dict(await connector.ask(items, credential, fetcher)), side


async def test_several_numbers_are_one_question_and_each_has_its_own_outcome() -> None:
    told, side = await ask([LETTER, UNKNOWN, FAULTY, ON_ITS_WAY])
    assert side.asked == ["1K00011122233,6A00000000000,8R99999999999,6A98765432109"]
    letter, fault = told[LETTER], told[FAULTY]
    assert isinstance(letter, Found)
    assert [scan.raw_code for scan in letter.scans] == ["PC1", "DI1"]
    # Of an answer about four the part about this one is kept.
    assert orjson.loads(letter.raw)["shipment"]["idShip"] == "1K00011122233"
    assert b"6A98765432109" not in letter.raw
    assert told[UNKNOWN] == NotFound()
    assert isinstance(fault, Broken)
    assert not fault.lane_wide
    assert isinstance(told[ON_ITS_WAY], Found)


async def test_one_number_alone_keeps_its_answer() -> None:
    told, _ = await ask([LETTER])
    letter = told[LETTER]
    assert isinstance(letter, Found)
    assert letter.raw


async def test_one_number_that_spoils_the_question_does_not_hide_the_others() -> None:
    told, side = await ask([LETTER, SPOILT, UNKNOWN])
    assert side.asked == [
        "1K00011122233,NONUMBER,6A00000000000",
        "1K00011122233",
        "NONUMBER",
        "6A00000000000",
    ]
    assert isinstance(told[LETTER], Found)
    spoilt = told[SPOILT]
    assert isinstance(spoilt, Broken)
    assert not spoilt.lane_wide
    assert told[UNKNOWN] == NotFound()


async def test_a_key_that_is_refused_is_refused_for_all() -> None:
    told, side = await ask([LETTER, UNKNOWN], Credential("operator", {"api_key": "no"}))
    assert len(side.asked) == 1
    assert all(isinstance(one, Refused) and one.credential_refused for one in told.values())


async def test_nobody_there_is_a_fault_for_all() -> None:
    connector = CARRIER.connector() if CARRIER else None
    assert connector is not None
    async with Fetcher(routes={"api.laposte.fr": "http://127.0.0.1:1"}) as fetcher:
        told = await connector.ask([LETTER, UNKNOWN], KEY, fetcher)
    assert all(isinstance(one, Broken) and one.lane_wide for one in told.values())


@pytest.mark.parametrize("code", [401, 403, 429, 500])
def test_an_entry_that_does_not_name_its_number_is_the_unknown_one(code: int) -> None:
    connector = CARRIER.connector() if CARRIER else None
    assert isinstance(connector, ReadsAnswers)
    named = orjson.loads(sample("several-the-letter"))
    unnamed = [*named, {"returnCode": 404, "returnMessage": "Inconnu", "lang": "fr_FR"}]
    stranger = Item("x", "6A11111111111")
    assert connector.outcome(stranger, Answer(207, {}, orjson.dumps(unnamed))) == NotFound()
    refused = [*named, {"returnCode": code, "returnMessage": "Non"}]
    assert not isinstance(
        connector.outcome(stranger, Answer(207, {}, orjson.dumps(refused))), NotFound | Found
    )
