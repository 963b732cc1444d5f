"""DHL Express over a real socket: waybills and pieces are two questions; and its odd answers."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
import pytest
from aiohttp import web
from tests.carriers.loopback import connector, sample, serving

from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Credential, Found, Item, NotFound, Refused
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.samples import ReadsAnswers
from milepost.carriers.xml_tree import read_xml
from milepost.catalogue.dhl_express.connector import NO_PIECES
from milepost.tracking.events import Scan

LOGIN = Credential("operator", {"username": "apK1", "password": "s^3cret"})
DELIVERED, UNKNOWN, PIECE = "4823100170", "4823100214", "JD014600003828450011"


def serving_express(asked: list[list[str]]) -> AbstractAsyncContextManager[Fetcher]:
    async def track(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != basic("apK1", "s^3cret"):
            return web.Response(body=sample("dhl_express", "login-refused.json"), status=401)
        assert request.query["trackingView"] == "all-checkpoints"
        assert request.query["requestGMTOffsetPerEvent"] == "true"
        pieces = request.query.getall("pieceTrackingNumber", [])
        asked.append([request.query["levelOfDetail"], *pieces])
        asked[-1] += request.query.getall("shipmentTrackingNumber", [])
        name = "one-piece-of-two.json" if pieces else "delivered-in-a-batch.json"
        return web.Response(body=sample("dhl_express", name))

    return serving([web.get("/mydhlapi/tracking", track)], "express.api.dhl.com")


async def test_waybills_are_one_question_and_pieces_another() -> None:
    asked: list[list[str]] = []
    waybill, piece, unknown = Item("1", DELIVERED), Item("2", PIECE.lower()), Item("3", UNKNOWN)
    async with serving_express(asked) as fetcher:
        told = await connector("dhl_express").ask([waybill, piece, unknown], LOGIN, fetcher)
    assert asked == [["shipment", DELIVERED, UNKNOWN], ["all", PIECE]]
    found, part = told[waybill], told[piece]
    assert isinstance(found, Found)
    assert found.signed_by == "M LEFEBVRE"
    assert isinstance(part, Found)
    assert part.scans[-1].raw_code == "AF"
    assert told[unknown] == NotFound()


async def test_a_wrong_login_is_told() -> None:
    item = Item("1", DELIVERED)
    async with serving_express([]) as fetcher:
        wrong = Credential("operator", {**LOGIN.fields, "password": "no"})
        refused = (await connector("dhl_express").ask([item], wrong, fetcher))[item]
    assert isinstance(refused, Refused)
    assert refused.credential_refused


def read(event: dict[str, Any]) -> Scan:
    made = connector("dhl_express")
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


# XML-PI, the older service. ----------------------------------------------------------------------

SITE = Credential("operator", {"username": "v62_a", "password": "s3cret-8", "interface": "XML-PI"})


def serving_xml_pi(asked: list[list[str]]) -> AbstractAsyncContextManager[Fetcher]:
    async def track(request: web.Request) -> web.Response:
        assert request.headers["Content-Type"].startswith("text/xml")
        question = read_xml(await request.read())
        assert question.name == "KnownTrackingRequest"
        assert question.text("LevelOfDetails") == "ALL_CHECK_POINTS"
        header = question.child("Request", "ServiceHeader")
        if (header.text("SiteID"), header.text("Password")) != ("v62_a", "s3cret-8"):
            return web.Response(body=sample("dhl_express", "xml-pi-login-refused.xml"))
        asked.append([one.text() for one in question.items("AWBNumber")])
        name = "not-found" if asked[-1] == [UNKNOWN] else "several-and-one-unknown"
        return web.Response(body=sample("dhl_express", f"xml-pi-{name}.xml"))

    return serving([web.post("/XMLShippingServlet", track)], "xmlpi-ea.dhl.com")


async def test_who_has_a_site_id_is_told_by_the_older_service() -> None:
    asked: list[list[str]] = []
    one, two, unknown = Item("1", DELIVERED), Item("2", "4823100192"), Item("3", UNKNOWN)
    piece = Item("4", PIECE)
    async with serving_xml_pi(asked) as fetcher:
        told = await connector("dhl_express").ask([one, two, unknown, piece], SITE, fetcher)
        alone = await connector("dhl_express").ask([unknown], SITE, fetcher)
    assert asked == [[DELIVERED, "4823100192", UNKNOWN], [UNKNOWN]]
    found, other = told[one], told[two]
    assert isinstance(found, Found)
    assert [scan.raw_code for scan in found.scans] == [
        "PU",
        "PO",
        "RW",
        "AF",
        "DF",
        "AR",
        "WC",
        "OK",
    ]
    assert found.signed_by == "L ROBLES"
    assert isinstance(other, Found)
    assert [scan.reading.phase for scan in other.scans] == ["accepted", "unknown"]
    assert other.raw_type == "text/xml"
    assert DELIVERED.encode() not in other.raw
    assert told[unknown] == alone[unknown] == NotFound()
    assert told[piece] == NO_PIECES


@pytest.mark.parametrize("field", ["username", "password"])
async def test_a_wrong_site_id_or_password_is_told(field: str) -> None:
    item = Item("1", DELIVERED)
    async with serving_xml_pi([]) as fetcher:
        wrong = Credential("operator", {**SITE.fields, field: "<&no"})
        refused = (await connector("dhl_express").ask([item], wrong, fetcher))[item]
    assert isinstance(refused, Refused)
    assert refused.credential_refused
