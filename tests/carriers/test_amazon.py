"""Amazon Shipping over a real socket: a seller's refresh token, and access tokens that run out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from milepost.carriers.connector import Connector, Credential, Found, Item, Outcome, Refused
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue
from milepost.catalogue.amazon.connector import request

CARRIER = Catalogue.load().get("amazon")
assert CARRIER is not None
SELLER = Credential(
    "operator",
    {
        "client_id": "app",
        "client_secret": "s3cret",
        "refresh_token": "Atzr|one & only",
        "carrier_id": "AMZN_UK",
    },
)
NUMBER = "TBM700800900100"


class Amazon:
    """Login with Amazon, and the Shipping API behind it."""

    def __init__(self) -> None:
        self.tokens = 0
        self.good = ""
        self.asked: list[web.Request] = []

    async def token(self, asked: web.Request) -> web.Response:
        form = dict(parse_qsl(await asked.text()))
        assert form.pop("grant_type") == "refresh_token"
        if form != {name: SELLER.fields[name] for name in form} or len(form) != 3:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.tokens += 1
        self.good = f"Atza|{self.tokens}"
        return web.json_response(
            {"access_token": self.good, "token_type": "bearer", "expires_in": 3600}
        )

    async def track(self, asked: web.Request) -> web.Response:
        self.asked.append(asked)
        assert CARRIER is not None
        known = asked.headers["x-amz-access-token"] == self.good
        name = "delivered-and-received" if known else "not-allowed"
        body = (CARRIER.folder / "samples" / f"{name}.json").read_bytes()
        return web.Response(body=body, status=200 if known else 403)


@asynccontextmanager
async def serving(side: Amazon) -> AsyncIterator[Fetcher]:
    app = web.Application()
    app.add_routes(
        [web.post("/auth/o2/token", side.token), web.get("/shipping/v2/tracking", side.track)]
    )
    async with TestServer(app) as server:
        here = str(server.make_url("/"))
        routes = {"api.amazon.com": here, "sellingpartnerapi-eu.amazon.com": here}
        async with Fetcher(routes=routes) as fetcher:
            yield fetcher


async def ask(connector: Connector | None, seller: Credential, fetcher: Fetcher) -> Outcome:
    assert connector is not None
    item = Item("1", NUMBER)
    return (await connector.ask([item], seller, fetcher))[item]


async def test_a_token_that_ran_out_is_replaced_and_goes_into_amazons_own_header() -> None:
    assert CARRIER is not None
    side, connector = Amazon(), CARRIER.connector()
    async with serving(side) as fetcher:
        found = await ask(connector, SELLER, fetcher)
        assert isinstance(found, Found)
        assert found.signed_by == "P. HARLOW"
        side.good = "another"
        assert isinstance(await ask(connector, SELLER, fetcher), Found)
    assert side.tokens == 2
    assert {one.query_string for one in side.asked} == {f"trackingId={NUMBER}&carrierId=AMZN_UK"}
    assert all("Authorization" not in one.headers for one in side.asked)


async def test_a_refresh_token_that_was_revoked_is_a_login_refused() -> None:
    assert CARRIER is not None
    side = Amazon()
    revoked = Credential("operator", {**SELLER.fields, "refresh_token": "gone"})
    async with serving(side) as fetcher:
        refused = await ask(CARRIER.connector(), revoked, fetcher)
    assert isinstance(refused, Refused)
    assert refused.credential_refused
    assert side.asked == []


@pytest.mark.parametrize(
    ("region", "host"),
    [("", "eu"), ("NA ", "na"), ("fe", "fe"), ("mars.example", "eu")],
)
def test_a_region_is_one_of_three_hosts(region: str, host: str) -> None:
    assert CARRIER is not None
    seller = Credential("operator", {"region": region, "business_id": "AmazonShipping_FR"})
    asked = request(CARRIER.manifest, Item("1", NUMBER), seller)
    assert asked.url == f"https://sellingpartnerapi-{host}.amazon.com/shipping/v2/tracking"
    assert asked.headers["x-amzn-shipping-business-id"] == "AmazonShipping_FR"
