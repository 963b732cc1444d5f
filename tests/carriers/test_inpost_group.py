"""InPost's Group API over a real socket: ten numbers repeated in the query, one rule book."""

from contextlib import AbstractAsyncContextManager

import pytest
from aiohttp import web
from tests.carriers.loopback import connector, sample, serving

from milepost.carriers.connector import Broken, Credential, Found, Item, NotFound, Refused
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.platforms.rest_json import RestJson

LOGIN = Credential("operator", {"client_id": "shop", "client_secret": "s3cret"})
COLLECTED, ATTEMPTED = "640000000000000000120417", "640000000000000000120425"
UNKNOWN, SPOILT = "640000000000000000120999", "64"
MARKETS = ("inpost_it", "inpost_gb", "inpost_es")


class InPost:
    """The gateway as documented: a token with a scope, then numbers by that token."""

    def __init__(self) -> None:
        self.tokens = 0
        self.asked: list[list[str]] = []

    async def token(self, request: web.Request) -> web.Response:
        assert dict(await request.post()) == {
            "grant_type": "client_credentials",
            "client_id": "shop",
            "client_secret": "s3cret",
            "scope": "openid api:tracking:read",
        }
        self.tokens += 1
        return web.json_response({"access_token": f"token-{self.tokens}", "expires_in": 599})

    async def track(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer token-{self.tokens}":
            return web.Response(body=sample("inpost_it", "token-refused.json"), status=401)
        assert request.headers["x-inpost-event-version"] == "V1"
        self.asked.append(request.query.getall("trackingNumbers"))
        if SPOILT in request.query.getall("trackingNumbers"):
            return web.json_response({"status": 422}, status=422)
        return web.Response(body=sample("inpost_it", "collected-from-a-locker-in-a-batch.json"))


def serving_inpost(side: InPost) -> AbstractAsyncContextManager[Fetcher]:
    routes = [web.post("/oauth2/token", side.token), web.get("/tracking/v1/parcels", side.track)]
    return serving(routes, "api.inpost-group.com")


@pytest.mark.parametrize("code", MARKETS)
async def test_several_numbers_are_one_question_and_each_reads_its_own_parcel(code: str) -> None:
    side, made = InPost(), connector(code)
    items = [Item("1", COLLECTED), Item("2", UNKNOWN), Item("3", ATTEMPTED)]
    async with serving_inpost(side) as fetcher:
        told = await made.ask(items, LOGIN, fetcher)
        side.tokens += 1  # the token ran out
        again = await made.ask(items[:1], LOGIN, fetcher)
    collected, unknown, attempted = (told[item] for item in items)
    assert side.asked == [[COLLECTED, UNKNOWN, ATTEMPTED], [COLLECTED]]
    assert isinstance(collected, Found)
    assert collected.scans[-1].raw_code == "EOL.1002"
    assert ATTEMPTED.encode() not in collected.raw
    assert unknown == NotFound()
    assert isinstance(attempted, Found)
    assert again[items[0]] == collected


async def test_a_number_that_spoils_the_question_spoils_no_other() -> None:
    side, items = InPost(), [Item("1", COLLECTED), Item("2", SPOILT)]
    async with serving_inpost(side) as fetcher:
        told = await connector("inpost_it").ask(items, LOGIN, fetcher)
    assert side.asked == [[COLLECTED, SPOILT], [COLLECTED], [SPOILT]]
    assert isinstance(told[items[0]], Found)
    assert isinstance(told[items[1]], Broken)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login_concerns_everybody(status: int) -> None:
    made = connector("inpost_gb")
    assert isinstance(made, RestJson)
    refused = made.outcome(Item("1", COLLECTED), Answer(status, {}, b""))
    assert isinstance(refused, Refused)
    assert refused.credential_refused
