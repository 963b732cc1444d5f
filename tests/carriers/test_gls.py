"""GLS over a real socket: ten numbers in one address, and a gateway that refuses in HTML."""

from contextlib import AbstractAsyncContextManager

import orjson
from aiohttp import web
from tests.carriers.loopback import connector, sample, serving

from milepost.carriers.connector import Credential, Found, Item, NotFound, Refused
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.platforms.rest_json import RestJson

LOGIN = Credential("operator", {"client_id": "shop", "client_secret": "s3cret"})
DELIVERED, UNKNOWN, WAITING = "60483170011", "60483170044", "60483170022"


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
        return web.Response(body=sample("gls_eu", "delivered-in-a-batch.json"))


def _page() -> web.Response:
    return web.Response(text="<html><body>Authorization failed</body></html>", status=401)


def serving_gls(side: Gls) -> AbstractAsyncContextManager[Fetcher]:
    routes = [
        web.post("/oauth2/v2/token", side.token),
        web.get("/track-and-trace-v1/tracking/simple/trackids/{numbers}", side.track),
    ]
    return serving(routes, "api.gls-group.net")


async def test_several_numbers_are_one_question_and_each_reads_its_own_parcel() -> None:
    side, made = Gls(), connector("gls_eu")
    items = [Item("1", "604 8317 0011"), Item("2", UNKNOWN), Item("3", WAITING)]
    async with serving_gls(side) as fetcher:
        told = await made.ask(items, LOGIN, fetcher)
        found, unknown, waiting = (told[item] for item in items)
        side.tokens += 1  # the gateway forgot ours
        again = (await made.ask(items[:1], LOGIN, fetcher))[items[0]]
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
    async with serving_gls(Gls()) as fetcher:
        refused = (await connector("gls_eu").ask([item], wrong, fetcher))[item]
    assert isinstance(refused, Refused)
    assert refused.credential_refused


def test_no_record_is_no_parcel() -> None:
    made = connector("gls_eu")
    assert isinstance(made, RestJson)
    parcel = {"requested": DELIVERED, "unitno": DELIVERED, "status": "NORECORD", "events": []}
    answer = Answer(200, {}, orjson.dumps({"parcels": parcel}))
    assert made.outcome(Item("1", DELIVERED), answer) == NotFound()
