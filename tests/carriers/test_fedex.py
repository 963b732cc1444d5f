"""FedEx over a real socket: one question about several numbers, and a token of its own."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
import pytest
from aiohttp import web
from tests.carriers.loopback import connector, sample, serving

from milepost.carriers.connector import (
    Broken,
    Credential,
    Found,
    Item,
    NotFound,
    Refused,
)
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.platforms.rest_json import RestJson

LOGIN = Credential("operator", {"client_id": "shop & co", "client_secret": "s3cret="})
DELIVERED, UNKNOWN, UNDER_WAY = "771300001018", "771300004040", "771300002025"


class FedEx:
    """FedEx as documented; a number of letters spoils the whole question."""

    def __init__(self) -> None:
        self.tokens = 0
        self.good = ""
        self.asked: list[list[str]] = []

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        login = {"client_id": "shop & co", "client_secret": "s3cret="}
        if dict(form) != {"grant_type": "client_credentials", **login}:
            return web.json_response({"errors": [{"code": "NOT.AUTHORIZED.ERROR"}]}, status=401)
        self.tokens += 1
        self.good = f"token-{self.tokens}"
        return web.json_response({"access_token": self.good, "expires_in": 3599})

    async def track(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer {self.good}":
            return web.Response(body=sample("fedex", "token-refused.json"), status=401)
        question = orjson.loads(await request.read())
        assert question["includeDetailedScans"] is True
        told = question["trackingInfo"]
        numbers = [one["trackingNumberInfo"]["trackingNumber"] for one in told]
        self.asked.append(numbers)
        if not all(map(str.isdigit, numbers)):
            return web.Response(body=sample("fedex", "question-refused.json"), status=400)
        return web.Response(body=sample("fedex", "delivered-in-a-batch.json"))


def serving_fedex(side: FedEx) -> AbstractAsyncContextManager[Fetcher]:
    routes = [
        web.post("/oauth/token", side.token),
        web.post("/track/v1/trackingnumbers", side.track),
    ]
    return serving(routes, "apis.fedex.com")


async def test_several_numbers_are_one_question_and_each_has_its_own_outcome() -> None:
    side = FedEx()
    items = [Item("1", "7713 0000 1018"), Item("2", UNKNOWN), Item("3", UNDER_WAY)]
    missing = Item("4", "771300005057")
    async with serving_fedex(side) as fetcher:
        told = await connector("fedex").ask([*items, missing], LOGIN, fetcher)
    assert side.asked == [[DELIVERED, UNKNOWN, UNDER_WAY, missing.number]]
    found, unknown, on_its_way = (told[item] for item in items)
    assert isinstance(found, Found)
    assert found.signed_by == "R.OKAFOR"
    assert unknown == NotFound()
    assert isinstance(on_its_way, Found)
    assert on_its_way.scans[-1].raw_code == "OD"
    broken = told[missing]
    assert isinstance(broken, Broken)
    assert not broken.lane_wide
    # What is kept of the answer is about this parcel alone.
    assert DELIVERED.encode() in found.raw
    assert UNDER_WAY.encode() not in found.raw


async def test_one_number_that_spoils_a_question_keeps_no_other_from_its_answer() -> None:
    side = FedEx()
    odd, good = Item("1", "NOTANUMBER"), Item("2", DELIVERED)
    async with serving_fedex(side) as fetcher:
        told = await connector("fedex").ask([odd, good], LOGIN, fetcher)
    assert side.asked == [["NOTANUMBER", DELIVERED], ["NOTANUMBER"], [DELIVERED]]
    assert told[odd] == NotFound()
    assert isinstance(told[good], Found)


async def test_a_token_that_ran_out_is_replaced_and_a_wrong_login_is_told() -> None:
    side, item = FedEx(), Item("1", DELIVERED)
    async with serving_fedex(side) as fetcher:
        assert isinstance((await connector("fedex").ask([item], LOGIN, fetcher))[item], Found)
        side.good = "another"
        assert isinstance((await connector("fedex").ask([item], LOGIN, fetcher))[item], Found)
        assert side.tokens == 2
        wrong = Credential("operator", {**LOGIN.fields, "client_secret": "no"})
        refused = (await connector("fedex").ask([item], wrong, fetcher))[item]
    assert isinstance(refused, Refused)
    assert refused.credential_refused


def read(result: dict[str, Any], number: str = DELIVERED) -> Any:
    made = connector("fedex")
    assert isinstance(made, RestJson)
    complete = {"trackingNumber": number, "trackResults": [result]}
    document = {"output": {"completeTrackResults": [complete]}}
    return made.outcome(Item("1", number), Answer(200, {}, orjson.dumps(document)))


def event(code: str, **more: Any) -> dict[str, Any]:
    return {"eventType": code, "date": "2026-03-18T09:30:00-05:00", **more}


@pytest.mark.parametrize(
    ("told", "meaning"),
    [
        (event("PU", exceptionCode="A25"), "accepted none none"),
        (event("DE", exceptionCode="08"), "attempted delivery_delay not_home"),
        (event("DE", exceptionCode="999"), "attempted delivery_delay undeliverable"),
        (event("DE", exceptionDescription="Refused by recipient"), "attempted refused receiver"),
        (event("ZZ", derivedStatusCode="DL"), "delivered none none"),
        (event("ZZ", derivedStatusCode="ZZ"), "unknown unknown unknown"),
    ],
)
def test_a_reason_counts_where_the_event_itself_says_too_little(
    told: dict[str, Any], meaning: str
) -> None:
    reading = read({"scanEvents": told}).scans[0].reading
    assert f"{reading.phase} {reading.exception} {reading.sub_status}" == meaning


def test_midnight_stands_for_a_day_without_a_time() -> None:
    dates = [{"type": "ESTIMATED_DELIVERY", "dateTime": "2026-03-19T00:00:00-06:00"}]
    estimate = read({"scanEvents": [event("IT")], "dateAndTimes": dates}).estimate
    assert (str(estimate.day), estimate.earliest, estimate.latest) == ("2026-03-19", None, None)


def test_fedexs_other_errors_are_no_unknown_numbers() -> None:
    outcome = read({"error": {"code": "TRACKING.SERVICE.UNAVAILABLE"}})
    assert isinstance(outcome, Broken)
    assert not outcome.lane_wide
