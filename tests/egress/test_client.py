"""The guarded client against receivers that do what receivers do, on real sockets."""

import asyncio

import aiohttp
import pytest
from tests.egress.receivers import (
    BOMB,
    CHUNKED,
    OK,
    Reader,
    Receiver,
    Serve,
    Writer,
    fine,
    floods,
    receiver,
    resets,
    says,
    silent,
)

from milepost.egress.client import GuardedClient
from milepost.egress.connector import BoundedHandler
from milepost.egress.outcomes import Answered, Failed, Forbidden


class Deaf(asyncio.Transport):
    """Nobody is behind it."""

    def abort(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


TRICKLE = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 50


async def test_an_answer_comes_with_what_is_needed_of_it(client: GuardedClient) -> None:
    head = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nSet-Cookie: a=b\r\nX-Y: z\r\n"
    async with receiver(says(head + b"Content-Length: 3\r\n\r\nno!")) as made:
        outcome = await client.send(made.url, b'{"a":1}', {"X-A": "\xe9", "Cookie": "c"})
        assert isinstance(outcome, Answered)
        assert (outcome.status, outcome.body, outcome.cut) == (429, b"no!", False)
        assert outcome.headers == {"retry-after": "7"}
        assert made.bodies == [b'{"a":1}']
        (asked,) = made.heads
        assert asked.startswith(b"POST /hook HTTP/1.1\r\nHost: 127.0.0.1:")
        assert b"\r\nAccept-Encoding: identity\r\n" in asked
        assert b"gzip" not in asked
        # Latin-1 is what a header may hold; it travels as UTF-8.
        assert b"\r\nX-A: \xc3\xa9\r\n" in asked


async def test_a_header_that_breaks_the_line_is_not_sent(client: GuardedClient) -> None:
    async with receiver(fine) as made:
        for headers in ({"X-A": "b\r\nX-C: d"}, {"Host": "inside"}, {"X-A\r\nX-C": "d"}):
            outcome = await client.send(made.url, b"{}", headers)
            assert outcome == Forbidden("a header can't be sent as it is")
        assert made.sockets == 0


async def test_no_cookie_comes_back(client: GuardedClient) -> None:
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with receiver(says(cookie)) as made:
        for _ in range(2):
            await client.send(made.url)
    assert not any(b"cookie" in head.lower() for head in made.heads)


async def test_the_name_stays_in_the_host_header(client: GuardedClient) -> None:
    async with receiver(fine) as made:
        url = made.url.replace("127.0.0.1", "localhost")
        assert isinstance(await client.send(url, b"{}"), Answered)
    assert b"\r\nHost: localhost:" in made.heads[0]


async def test_a_redirect_is_an_answer(client: GuardedClient) -> None:
    async with receiver(fine) as other:
        elsewhere = b"HTTP/1.1 307 Go\r\nLocation: " + other.url.encode() + b"\xff\r\n"
        async with receiver(says(elsewhere + b"Content-Length: 0\r\n\r\n")) as made:
            outcome = await client.send(made.url, b"{}")
        assert isinstance(outcome, Answered)
        assert (outcome.status, outcome.headers["location"]) == (307, other.url + "?")
        assert other.sockets == 0


async def test_proxies_of_the_environment_are_not_asked(
    client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiver(fine) as proxy, receiver(fine) as made:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert isinstance(await client.send(made.url, b"{}"), Answered)
        assert (proxy.sockets, made.sockets) == (0, 1)


HANGING = {
    "silent": (silent, 0),
    "head": (says(b"HTTP/1.1 200 OK\r\nX-Y: ", *[b"y"] * 99, pause=0.05), 0),
    "trickle": (says(TRICKLE, *[b"x"] * 99, pause=0.05), 200),
    "drip": (says(CHUNKED, *[b"1\r\nx\r\n"] * 99, pause=0.05), 200),
    "no end": (says(CHUNKED + b"2\r\nok\r\n", then=30), 200),
}


async def test_what_does_not_end_is_ended(impatient: GuardedClient) -> None:
    async def told(serve: Serve) -> tuple[object, int]:
        async with receiver(serve) as made:
            outcome = await impatient.send(made.url, b"{}")
            return (outcome.kind, outcome.status) if isinstance(outcome, Failed) else (outcome, 0)

    outcomes = await asyncio.gather(*(told(serve) for serve, _ in HANGING.values()))
    assert dict(zip(HANGING, outcomes, strict=True)) == {
        name: ("timeout", status) for name, (_, status) in HANGING.items()
    }


@pytest.mark.parametrize(
    ("serve", "kind", "status"),
    [
        pytest.param(says(b"hello\r\n\r\n"), "protocol", 0, id="garbage"),
        pytest.param(says(TRICKLE + b"short"), "protocol", 200, id="too short"),
        pytest.param(says(CHUNKED + b"5\r\nab"), "protocol", 200, id="half a chunk"),
        pytest.param(says(CHUNKED + b"zz\r\nab\r\n"), "protocol", None, id="no chunk"),
        pytest.param(resets, "protocol", 200, id="reset"),
        pytest.param(says(), "reset", 0, id="no answer"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\n"), "reset", 0, id="half a head"),
        pytest.param(says(b"HTTP/2.0 what\r\n\r\n"), "protocol", 0, id="other protocol"),
        pytest.param(
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
            "protocol",
            0,
            id="two lengths",
        ),
        pytest.param(floods(b"", EARLY), "protocol", 0, id="interim answers"),
        pytest.param(floods(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 99), "protocol", 0, id="headers"),
        pytest.param(floods(b"HTTP/1.1 200 OK\r\nA: ", b"x" * 999), "protocol", 0, id="header"),
        pytest.param(floods(CHUNKED + b"0\r\n", b"A: b\r\n" * 99), "protocol", None, id="trailers"),
    ],
)
async def test_what_is_no_answer_fails(
    client: GuardedClient, serve: Serve, kind: str, status: int | None
) -> None:
    async with receiver(serve) as made:
        outcome = await client.send(made.url + "?secret", b"{}", {"X-Y": "secret"})
    assert isinstance(outcome, Failed), outcome
    assert outcome.kind == kind
    assert outcome.status in ((status,) if status is not None else (0, 200))
    assert "secret" not in outcome.reason


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(floods(TRICKLE.replace(b"999", b"1000000000"), b"x" * 65536), id="1 GB"),
        pytest.param(floods(CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n"), id="chunks"),
        pytest.param(floods(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1024), id="until it closes"),
    ],
)
async def test_an_endless_body_is_read_so_far(client: GuardedClient, serve: Serve) -> None:
    async with receiver(serve) as made:
        outcome = await client.send(made.url, b"{}")
        assert isinstance(outcome, Answered)
        assert outcome.cut
        assert outcome.body == b"x" * 65536


@pytest.mark.parametrize(
    ("piece", "fails"),
    [
        pytest.param(b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n", False, id="one"),
        pytest.param(b"14\r\n" + b"x" * 20 + b"\r\n", False, id="small"),
        pytest.param(b"1\r\nx\r\n", True, id="a byte each"),
    ],
)
async def test_frames_are_bounded_and_not_how_much_comes_at_once(piece: bytes, fails: bool) -> None:
    """256 KB are handed over in one call, as a transport does where they are there."""
    loop = asyncio.get_running_loop()
    handler = BoundedHandler(loop)
    handler.connection_made(Deaf())
    handler.set_response_params(read_bufsize=16 * 1024)
    handler.data_received((CHUNKED + piece * (262_144 // len(piece)))[:262_144])
    _, payload = await handler.read()
    taken = b""
    try:
        while len(taken) <= 65536:
            taken += await payload.readany()
        assert not fails
    except aiohttp.ClientPayloadError:
        assert fails
        assert len(taken) < 20_000


async def test_a_body_of_exactly_the_cap_is_whole(client: GuardedClient) -> None:
    for length, cut in ((65536, False), (65537, True)):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
        async with receiver(says(head, b"x" * length)) as made:
            outcome = await client.send(made.url, b"{}")
            assert isinstance(outcome, Answered)
            assert (len(outcome.body), outcome.cut) == (65536, cut)


async def test_what_came_packed_is_not_unpacked(client: GuardedClient) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n"
    async with receiver(says(head.encode(), BOMB)) as made:
        outcome = await client.send(made.url, b"{}")
    assert isinstance(outcome, Answered)
    assert outcome.body == BOMB
    assert outcome.headers["content-encoding"] == "gzip"


async def answers_plainly(made: Receiver, reader: Reader, writer: Writer) -> None:
    await reader.read(1)
    writer.write(OK)
    await writer.drain()
    await asyncio.sleep(0.1)


async def test_tls_that_stalls_and_tls_that_is_none(impatient: GuardedClient) -> None:
    for serve, kind in ((silent, "timeout"), (answers_plainly, "tls")):
        async with receiver(serve) as made:
            outcome = await impatient.send(made.url.replace("http:", "https:"), b"{}")
        assert isinstance(outcome, Failed)
        assert outcome.kind == kind


async def test_what_can_t_be_reached_says_why(client: GuardedClient) -> None:
    async with receiver(fine) as made:
        url = made.url
    refused = await client.send(url, b"{}")
    assert isinstance(refused, Failed)
    assert (refused.kind, refused.reason) == ("connect", "no connection: connection refused")
    unknown = await client.send("http://nowhere.invalid/", b"{}")
    assert isinstance(unknown, Failed)
    assert unknown.kind == "dns"
    inside = await client.send("http://10.0.0.1/", b"{}")
    assert isinstance(inside, Forbidden)


async def test_an_interruption_closes_what_it_interrupts(client: GuardedClient) -> None:
    async with receiver(silent) as made:
        task = asyncio.create_task(client.send(made.url, b"{}"))
        while not made.open:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client._turns._users == {}
