"""The fetcher over real sockets: bounds, manners, memory."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from milepost import metrics
from milepost.carriers import fetcher as fetcher_module
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.fetcher import Fetcher
from milepost.errors import CarrierUnreachable, NoSlot

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ASK = Request("https://carrier.example/track?x=1", (("number", "A/B 1"),), {"Key": "secret"})


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[dict[str, str]]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield {"carrier.example": f"http://127.0.0.1:{runner.addresses[0][1]}/prefix/"}
    finally:
        await runner.cleanup()


@asynccontextmanager
async def spoken(raw: bytes, pause: float = 0) -> AsyncIterator[dict[str, str]]:
    """A socket that says ``raw`` byte by byte, ``pause`` seconds apart, whatever it is asked."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            for place in range(len(raw)) if pause else (0,):
                writer.write(raw[place : place + 1] if pause else raw)
                await writer.drain()
                await asyncio.sleep(pause)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    try:
        yield {"carrier.example": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    finally:
        server.close()


async def test_a_route_leads_elsewhere_and_keeps_path_and_query() -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(text="hi", headers={"X-One": "1"})

    async with served(handler) as routes, Fetcher(routes=routes) as fetcher:
        answer = await fetcher.fetch(ASK)
    assert (answer.status, answer.body, answer.headers["x-one"]) == (200, b"hi", "1")
    assert seen[0].path == "/prefix/track"
    assert dict(seen[0].query) == {"x": "1", "number": "A/B 1"}
    assert seen[0].headers["Accept-Encoding"] == "identity"
    assert seen[0].headers["Key"] == "secret"


@pytest.mark.parametrize("status", [204, 301, 404, 429, 500, 599])
async def test_any_status_is_an_answer_and_redirects_are_not_followed(status: int) -> None:
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with served(handler) as routes, Fetcher(routes=routes) as fetcher:
        assert (await fetcher.fetch(ASK)).status == status
    assert calls == 1


async def test_too_long_is_cut_with_or_without_a_stated_length() -> None:
    async def stated(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1001)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 100_000)

    for handler in (stated, endless):
        async with served(handler) as routes, Fetcher(routes=routes, max_bytes=1000) as fetcher:
            with pytest.raises(CarrierUnreachable, match="longer than 1000 bytes"):
                await fetcher.fetch(ASK)


async def test_exactly_the_limit_is_fine() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1000)

    async with served(handler) as routes, Fetcher(routes=routes, max_bytes=1000) as fetcher:
        assert len((await fetcher.fetch(ASK)).body) == 1000


async def test_the_deadline_covers_a_dripping_body() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    async with (
        spoken(raw, pause=0.01) as routes,
        Fetcher(routes=routes, total_seconds=1) as fetcher,
    ):
        begun = time.monotonic()
        with pytest.raises(CarrierUnreachable, match="did not answer within 1 s"):
            await fetcher.fetch(ASK)
        assert time.monotonic() - begun < 8


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_a_broken_answer_is_unreachable(raw: bytes) -> None:
    async with spoken(raw) as routes, Fetcher(routes=routes) as fetcher:
        with pytest.raises(CarrierUnreachable, match=r"^carrier\.example: "):
            await fetcher.fetch(ASK)


async def test_nothing_secret_is_in_the_fault() -> None:
    async with Fetcher(routes={"carrier.example": "http://127.0.0.1:1"}) as fetcher:
        with pytest.raises(CarrierUnreachable) as caught:
            await fetcher.fetch(ASK)
    assert "A/B" not in str(caught.value)
    assert "secret" not in repr(ASK)


async def test_what_we_did_not_ask_packed_is_not_unpacked() -> None:
    async def handler(request: web.Request) -> web.Response:
        packed = gzip.compress(b"0" * 100_000_000)
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with served(handler) as routes, Fetcher(routes=routes) as fetcher:
        with pytest.raises(CarrierUnreachable, match="compressed"):
            await fetcher.fetch(ASK)


async def test_environment_proxies_and_cookies_play_no_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    cookies: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie", ""))
        answer = web.Response(text="ok")
        answer.set_cookie("session", "1")
        return answer

    async with served(handler) as routes, Fetcher(routes=routes) as fetcher:
        await fetcher.fetch(ASK)
        await fetcher.fetch(ASK)
    assert cookies == ["", ""]


async def test_a_known_answer_costs_the_carrier_nothing() -> None:
    told: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        told.append(request.headers.get("If-None-Match", ""))
        if told[-1] == '"v1"':
            return web.Response(status=304)
        return web.Response(body=b"parcel", headers={"ETag": '"v1"'})

    async with served(handler) as routes, Fetcher(routes=routes) as fetcher:
        answers = [await fetcher.fetch(ASK) for _ in range(3)]
        other = Request(ASK.url, ASK.query, {"Key": "another credential"})
        await fetcher.fetch(other)
        await fetcher.fetch(Request(ASK.url, ASK.query, ASK.headers, remember=False))
    assert told == ["", '"v1"', '"v1"', "", ""]
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"parcel")}


async def test_what_is_remembered_is_bounded_headers_included(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetcher_module, "REMEMBERED_BYTES", 100_000)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(headers={"ETag": '"v1"', "X-Long": "x" * 4_000})

    async with served(handler) as routes, Fetcher(routes=routes) as fetcher:
        for number in range(60):
            await fetcher.fetch(Request(ASK.url, (("number", str(number)),)))
        assert 1 < len(fetcher._memory._answers) < 30


async def test_a_question_that_may_not_be_asked_is_none_of_the_carriers() -> None:
    class Late:
        async def near(self) -> None:
            pass

        async def start(self) -> None:
            raise NoSlot("quota", 60)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    def told() -> list[float]:
        found = metrics.carrier_seconds.collect()
        return [one.value for family in found for one in family.samples]

    before = told()
    async with served(handler) as routes, Fetcher(routes=routes) as fetcher:
        with pytest.raises(NoSlot):
            await fetcher.fetch(ASK, Late())
    assert told() == before


async def test_a_host_is_asked_a_few_at_a_time() -> None:
    at_once = most = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1
        return web.Response(text="ok")

    async with served(handler) as routes, Fetcher(routes=routes, per_host=3) as fetcher:
        await asyncio.gather(*(fetcher.fetch(ASK) for _ in range(12)))
    assert most == 3


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("", 60),
        ("30", 30),
        ("0", 1),
        ("99999999999999999999", 86_400),
        ("Sun, 22 Nov 2026 10:01:30 GMT", 90),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 1),
        ("soon", 60),
        ("²", 60),
        ("Mon, 1 Jan 99999999999999999999 00:00:00 GMT", 60),
        ("Mon, 1 Jan 2020 00:00:00 +99999999999999", 60),
    ],
)
def test_retry_after(stated: str, seconds: float) -> None:
    now = datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert Answer(429, {"retry-after": stated}).retry_after(60, now) == seconds
