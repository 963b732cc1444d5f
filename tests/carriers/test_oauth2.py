"""Tokens over a real socket: one at a time, kept, replaced once, and told apart from a bad day."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from milepost import observe
from milepost.carriers.connector import Broken, Credential, Refused
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.fetcher import Fetcher, Line
from milepost.carriers.oauth2 import client_tokens, token_request
from milepost.carriers.tokens import MOST_TOKENS, Tokens
from milepost.errors import NoSlot

SECRET = "client-secret-9d1"
LOGIN = Credential("operator", {"id": "shop", "secret": SECRET})


@dataclass
class TokenServer:
    """Gives token-1, token-2, ...; takes the latest; told to be odd by ``mood``."""

    given: int = 0
    taken: list[str] = field(default_factory=list)
    mood: str = ""
    expires_in: object = "3600"
    revoked: bool = False
    base_url: str = ""

    async def token(self, request: web.Request) -> web.Response:
        self.given += 1
        form = await request.post()
        assert form["grant_type"] == "client_credentials"
        await asyncio.sleep(0.02)
        match self.mood:
            case "refused":
                return web.json_response({"error": "invalid_client"}, status=400)
            case "denied":
                return web.json_response({"error": "x"}, status=401)
            case "down":
                return web.Response(status=503)
            case "busy":
                return web.Response(status=429, headers={"Retry-After": "9"})
            case "html":
                return web.Response(text="<html>")
            case "list":
                return web.json_response(["access_token"])
            case "odd":
                return web.json_response({"access_token": "a\r\nX: b"})
        assert request.headers["Authorization"] == "Basic c2hvcDpjbGllbnQtc2VjcmV0LTlkMQ=="
        answer = {"access_token": f"token-{self.given}", "expires_in": self.expires_in}
        return web.json_response(answer)

    async def track(self, request: web.Request) -> web.Response:
        self.taken.append(request.headers["Authorization"].removeprefix("Bearer "))
        good = self.taken[-1] == f"token-{self.given}" and not self.revoked
        return web.json_response({}, status=200 if good else 401)


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    made = TokenServer()
    app = web.Application()
    app.router.add_post("/token", made.token)
    app.router.add_get("/track", made.track)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


class Slots:
    """Counts the requests that waited for their turn."""

    def __init__(self) -> None:
        self.started = 0

    async def near(self) -> None:
        pass

    async def start(self) -> None:
        self.started += 1


@dataclass
class House:
    """The tokens of one carrier, asked for over a line that counts slots; its time is ours."""

    server: TokenServer
    fetcher: Fetcher
    time: float = 0.0
    slots: Slots = field(default_factory=Slots)
    tokens: Tokens = field(init=False)

    def __post_init__(self) -> None:
        url = f"{self.server.base_url}/token"
        self.tokens = client_tokens(
            lambda login: token_request(url, login.fields["id"], login.fields["secret"]),
            lambda: self.time,
        )

    async def ask(self, login: Credential = LOGIN) -> Answer | Refused | Broken:
        url = f"{self.server.base_url}/track"
        line = Line(self.fetcher, lambda: self.slots)
        return await self.tokens.fetch(
            line, login, lambda token: Request(url, headers={"Authorization": f"Bearer {token}"})
        )

    async def status(self) -> int:
        answer = await self.ask()
        assert isinstance(answer, Answer), answer
        return answer.status


@pytest.fixture
async def house(server: TokenServer) -> AsyncIterator[House]:
    async with Fetcher() as fetcher:
        yield House(server, fetcher)


async def test_many_who_ask_at_once_share_one_token(house: House) -> None:
    assert await asyncio.gather(*(house.status() for _ in range(12))) == [200] * 12
    assert house.server.given == 1
    assert house.slots.started == 13, "the token call takes a slot as well"


@pytest.mark.parametrize(
    ("expires_in", "good", "over"),
    [("3600", 3539, 3541), (100, 89, 91), ("soon", 269, 271), (10**12, 86_339, 86_341)],
)
async def test_a_token_is_replaced_before_it_ends(
    house: House, expires_in: object, good: float, over: float
) -> None:
    house.server.expires_in = expires_in
    for house.time, given in ((0.0, 1), (good, 1), (over, 2)):
        assert await house.status() == 200
        assert house.server.given == given


async def test_a_refused_token_is_replaced_once(house: House) -> None:
    await house.status()
    house.server.given += 1  # the carrier forgot ours
    assert await house.status() == 200
    assert house.server.taken == ["token-1", "token-1", "token-3"]
    house.server.revoked = True
    before = len(house.server.taken)
    refused = await house.ask()
    assert isinstance(refused, Refused)
    assert not refused.credential_refused, "another process may have a newer token"
    assert len(house.server.taken) - before == 2, "one retry and no more"
    assert await house.ask() == refused
    assert len(house.server.taken) - before == 2
    assert house.slots.started == house.server.given - 1 + len(house.server.taken)


@pytest.mark.parametrize(
    ("mood", "refused", "wait"),
    [
        ("refused", True, 3600.0),
        ("denied", True, 3600.0),
        ("busy", False, 9.0),
        ("down", None, None),
        ("html", None, None),
        ("odd", None, None),
        ("list", None, None),
    ],
)
async def test_a_refused_login_is_not_a_broken_carrier(
    house: House, mood: str, refused: bool | None, wait: float | None
) -> None:
    house.server.mood = mood
    outcomes = await asyncio.gather(*(house.ask() for _ in range(5)))
    assert house.server.given == 1, "who waited is told the same"
    assert house.server.taken == []
    for outcome in outcomes:
        if refused is None:
            assert isinstance(outcome, Broken)
            assert outcome.lane_wide
        else:
            assert isinstance(outcome, Refused)
            assert (outcome.credential_refused, outcome.retry_after) == (refused, wait)
    house.server.mood = ""
    house.time += 6
    assert await house.status() == 200


async def test_who_waits_and_who_comes_share_one_question_after_one_was_given_up(
    house: House,
) -> None:
    """The first has no slot; of the second, which waited, and a third only one asks anew."""

    class NoneLeft:
        async def near(self) -> None:
            await asyncio.sleep(0.01)

        async def start(self) -> None:
            raise NoSlot("quota", 1)

    async def first() -> None:
        asks = Line(house.fetcher, NoneLeft)
        with pytest.raises(NoSlot):
            await house.tokens.fetch(asks, LOGIN, lambda _: Request("http://unused.example"))
        await house.ask()

    await asyncio.gather(first(), house.ask())
    assert house.server.given == 1
    assert len(house.tokens._asking) == 0


async def test_an_unreachable_token_server_is_a_broken_carrier(house: House) -> None:
    house.server.base_url = "http://127.0.0.1:1"
    house.__post_init__()
    assert isinstance(await house.ask(), Broken)


async def test_tokens_are_kept_apart_counted_and_never_told(house: House) -> None:
    stream = io.StringIO()
    observe.configure("worker", stream)
    await house.ask()
    other = Credential("operator", {"id": "shop", "secret": SECRET, "new": "1"})
    await house.ask(other)
    assert house.server.given == 2
    for number in range(MOST_TOKENS):
        house.tokens._keep(str(number).encode(), next(iter(house.tokens._known.values())))
    assert len(house.tokens._known) == MOST_TOKENS
    assert "token-" not in repr(house.tokens._known)
    assert "token-" not in stream.getvalue()
    assert SECRET not in repr(token_request("https://x.example", "shop", SECRET))
