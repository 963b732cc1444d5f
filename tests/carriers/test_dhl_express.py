"""DHL Express over a real socket: waybills and pieces are two questions; and its odd answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web

from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Connector, Credential, Found, Item, NotFound, Refused
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue
from milepost.carriers.samples import ReadsAnswers
from milepost.tracking.events import Scan

CARRIER = Catalogue.load().get("dhl_express")
assert CARRIER is not None
SAMPLES = CARRIER.folder / "samples"
LOGIN = Credential("operator", {"username": "apK1", "password": "s^3cret"})
DELIVERED, UNKNOWN, PIECE = "4823100170", "4823100214", "JD014600003828450011"


def connector() -> Connector:
    assert CARRIER is not None
    made = CARRIER.connector()
    assert made is not None
    return made


@asynccontextmanager
async def serving(asked: list[list[str]]) -> AsyncIterator[Fetcher]:
    async def track(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != basic("apK1", "s^3cret"):
            return web.Response(body=(SAMPLES / "login-refused.json").read_bytes(), status=401)
        assert request.query["trackingView"] == "all-checkpoints"
        assert request.query["requestGMTOffsetPerEvent"] == "true"
        pieces = request.query.getall("pieceTrackingNumber", [])
        asked.append([request.query["levelOfDetail"], *pieces])
        asked[-1] += request.query.getall("shipmentTrackingNumber", [])
        name = "one-piece-of-two.json" if pieces else "delivered-in-a-batch.json"
        return web.Response(body=(SAMPLES / name).read_bytes())

    app = web.Application()
    app.router.add_get("/mydhlapi/tracking", track)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    route = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with Fetcher(routes={"express.api.dhl.com": route}) as fetcher:
            yield fetcher
    finally:
        await runner.cleanup()


async def test_waybills_are_one_question_and_pieces_another() -> None:
    asked: list[list[str]] = []
    waybill, piece, unknown = Item("1", DELIVERED), Item("2", PIECE.lower()), Item("3", UNKNOWN)
    async with serving(asked) as fetcher:
        told = await connector().ask([waybill, piece, unknown], LOGIN, fetcher)
    assert asked == [["shipment", DELIVERED, UNKNOWN], ["all", PIECE]]
    found, part = told[waybill], told[piece]
    assert isinstance(found, Found)
    assert found.signed_by == "M LEFEBVRE"
    assert isinstance(part, Found)
    assert part.scans[-1].raw_code == "AF"
    assert told[unknown] == NotFound()


async def test_a_wrong_login_is_told() -> None:
    item = Item("1", DELIVERED)
    async with serving([]) as fetcher:
        wrong = Credential("operator", {**LOGIN.fields, "password": "no"})
        refused = (await connector().ask([item], wrong, fetcher))[item]
    assert isinstance(refused, Refused)
    assert refused.credential_refused


def read(event: dict[str, Any]) -> Scan:
    made = connector()
    assert isinstance(made, ReadsAnswers)
    document = {"shipments": {"shipmentTrackingNumber": DELIVERED, "events": event}}
    told = made.outcome(Item("1", DELIVERED), Answer(200, {}, orjson.dumps(document)))
    assert isinstance(told, Found)
    return told.scans[0]


@pytest.mark.parametrize(
    ("more", "zone"),
    [
        ({"GMTOffset": "-05:00"}, "UTC-05:00 carrier 22:30"),
        ({"GMTOffset": ""}, "Asia/Tokyo place 08:30"),
        ({"GMTOffset": "odd"}, "Asia/Tokyo place 08:30"),
        ({"serviceArea": None}, "Europe/Berlin assumed 16:30"),
    ],
)
def test_the_offset_of_a_checkpoint_goes_before_its_place(more: dict[str, Any], zone: str) -> None:
    area = {"serviceArea": [{"code": "TYO", "description": "Tokyo-JP"}]}
    event = {"date": "2026-03-02", "time": "17:30:00", "typeCode": "PU", **area, **more}
    moment = read(event).moment
    assert f"{moment.zone} {moment.zone_source} {moment.instant:%H:%M}" == zone
    assert moment.home_minute == "2026-03-02T17:30"


def test_a_checkpoint_without_a_time_is_a_day() -> None:
    assert read({"date": "2026-03-02", "typeCode": "SD"}).moment.precision == "day"
