"""GLS over a real socket: ten numbers in one address, and a gateway that refuses in HTML."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from milepost.carriers.connector import Connector, Credential, Found, Item, NotFound, Refused
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.registry import Catalogue

CARRIER = Catalogue.load().get("gls_eu")
assert CARRIER is not None
SAMPLES = CARRIER.folder / "samples"
LOGIN = Credential("operator", {"client_id": "shop", "client_secret": "s3cret"})
DELIVERED, UNKNOWN, WAITING = "60483170011", "60483170044", "60483170022"


def connector() -> Connector:
    assert CARRIER is not None
    made = CARRIER.connector()
    assert made is not None
    return made


class Gls:
    """GLS's gateway: an unauthorised question is answered with a page."""

    def __init__(self) -> None:
        self.tokens = 0
        self.asked: list[str] = []

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if (form["client_id"], form["client_secret"]) != ("shop", "s3cret"):
            return _page()
        self.tokens += 1
        return web.json_response({"access_token": f"token-{self.tokens}", "expires_in": 3600})

    async def track(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer token-{self.tokens}":
            return _page()
        self.asked.append(request.match_info["numbers"])
        return web.Response(body=(SAMPLES / "delivered-in-a-batch.json").read_bytes())


def _page() -> web.Response:
    return web.Response(text="<html><body>Authorization failed</body></html>", status=401)


@asynccontextmanager
async def serving(side: Gls) -> AsyncIterator[Fetcher]:
    app = web.Application()
    app.router.add_post("/oauth2/v2/token", side.token)
    app.router.add_get("/track-and-trace-v1/tracking/simple/trackids/{numbers}", side.track)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    route = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with Fetcher(routes={"api.gls-group.net": route}) as fetcher:
            yield fetcher
    finally:
        await runner.cleanup()


async def test_several_numbers_are_one_question_and_each_reads_its_own_parcel() -> None:
    side = Gls()
    items = [Item("1", "604 8317 0011"), Item("2", UNKNOWN), Item("3", WAITING)]
    async with serving(side) as fetcher:
        told = await connector().ask(items, LOGIN, fetcher)
        found, unknown, waiting = (told[item] for item in items)
        side.tokens += 1  # the gateway forgot ours
        again = (await connector().ask(items[:1], LOGIN, fetcher))[items[0]]
    assert side.asked == [f"{DELIVERED},{UNKNOWN},{WAITING}", DELIVERED]
    assert isinstance(found, Found)
    assert found.scans[-1].raw_code == "DELIVD.NORMAL"
    assert WAITING.encode() not in found.raw
    assert unknown == NotFound()
    assert isinstance(waiting, Found)
    assert waiting.scans[-1].reading.phase == "pup"
    assert again == found


async def test_a_login_refused_with_a_page_is_told() -> None:
    wrong, item = Credential("operator", {**LOGIN.fields, "client_secret": "no"}), Item("1", "1")
    async with serving(Gls()) as fetcher:
        refused = (await connector().ask([item], wrong, fetcher))[item]
    assert isinstance(refused, Refused)
    assert refused.credential_refused


def test_no_record_is_no_parcel() -> None:
    made = connector()
    assert isinstance(made, RestJson)
    parcel = {"requested": DELIVERED, "unitno": DELIVERED, "status": "NORECORD", "events": []}
    answer = Answer(200, {}, orjson.dumps({"parcels": parcel}))
    assert made.outcome(Item("1", DELIVERED), answer) == NotFound()
