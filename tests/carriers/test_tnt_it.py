"""ExpressConnect Tracking over a real socket: XML in a form, and what no answer of TNT's is."""

from typing import Any

import pytest
from aiohttp import web
from tests.carriers.loopback import connector, sample, serving

from milepost.carriers.connector import Broken, Credential, Found, Item, Outcome, Refused
from milepost.carriers.xml_tree import XmlTree, read_xml

LOGIN = Credential("operator", {"username": "shop", "password": "s3cret"})
NUMBER = "204173314"


async def told(answer: web.Response, **item: Any) -> tuple[Outcome, XmlTree]:
    asked: list[XmlTree] = []

    async def track(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Basic c2hvcDpzM2NyZXQ="
        asked.append(read_xml(str((await request.post())["xml_in"]).encode()))
        return answer

    one = Item("1", **{"number": "2041 73314", **item})
    async with serving([web.post("/expressconnect/track.do", track)], "express.tnt.com") as fetcher:
        outcome = (await connector("tnt_it").ask([one], LOGIN, fetcher))[one]
    [question] = asked
    return outcome, question


@pytest.mark.parametrize(
    ("countries", "market", "origin"),
    [
        ({"destination_country": "IT"}, "DOMESTIC", "IT"),
        ({"destination_country": "GB"}, "INTERNATIONAL", "IT"),
        ({"origin_country": "de", "destination_country": "DE"}, "DOMESTIC", "DE"),
        ({}, "INTERNATIONAL", "IT"),
    ],
)
async def test_it_is_asked_on_the_market_the_parcel_is_on(
    countries: dict[str, str], market: str, origin: str
) -> None:
    _, question = await told(web.Response(status=502), **countries)
    criteria = question.child("SearchCriteria")
    assert criteria.text("ConsignmentNumber") == NUMBER
    assert criteria.attribute("marketType") == market
    assert criteria.attribute("originCountry") == origin


async def test_what_is_kept_is_of_the_consignment_that_is_meant() -> None:
    body = sample("tnt_it", "delivered-abroad-and-the-number-used-before.xml")
    outcome, _ = await told(web.Response(body=body))
    assert isinstance(outcome, Found)
    assert outcome.signed_by == "p harker"
    assert b"roussel" in body
    assert b"roussel" not in outcome.raw


async def test_a_number_is_a_text_of_the_question_and_nothing_else() -> None:
    number = "1</ConsignmentNumber><Account/>"
    _, question = await told(web.Response(status=502), number=number)
    assert [one.name for one in question.child("SearchCriteria").children()] == [
        "ConsignmentNumber"
    ]


@pytest.mark.parametrize("status", [200, 404, 502])
async def test_a_page_is_a_fault_and_no_unknown_number(status: int) -> None:
    outcome, _ = await told(web.Response(text="<html>later</br></html>", status=status))
    assert isinstance(outcome, Broken)
    assert outcome.lane_wide


async def test_a_refused_login_concerns_everybody() -> None:
    for answer in (
        web.Response(status=401),
        web.Response(body=sample("tnt_it", "login-refused.xml")),
    ):
        outcome, _ = await told(answer)
        assert isinstance(outcome, Refused)
        assert outcome.credential_refused
