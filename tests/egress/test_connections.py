"""Connections: kept, shared out, and never left behind."""

import asyncio
import contextlib
import os

import pytest
from tests.egress.receivers import (
    HERE,
    OK,
    Reader,
    Receiver,
    Serve,
    Writer,
    fine,
    never_reads,
    receiver,
    says,
    silent,
)

from milepost.egress import connector
from milepost.egress.client import Bounds, GuardedClient
from milepost.egress.outcomes import Answered, Failed


def open_sockets() -> int:
    """Sockets of this process, listeners and pairs of the loop included."""
    links = (os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if _is(one))
    return sum(link.startswith("socket:") for link in links)


def _is(number: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{number}")


async def test_connections_are_kept_and_used_again(client: GuardedClient) -> None:
    async with receiver(fine) as made:
        for _ in range(5):
            assert isinstance(await client.send(made.url, b"{}"), Answered)
        assert made.sockets == 1


async def test_a_kept_connection_ends_after_a_while() -> None:
    async with receiver(fine) as made:
        async with GuardedClient(HERE, Bounds(idle_seconds=0.2)) as client:
            await client.send(made.url, b"{}")
            assert made.open == 1
            while made.open:
                await asyncio.sleep(0.05)
            await client.send(made.url, b"{}")
            assert made.sockets == 2
        while made.open:
            await asyncio.sleep(0.01)


async def closes_the_second(made: Receiver, reader: Reader, writer: Writer) -> None:
    await made.next(reader)
    writer.write(OK)
    await made.next(reader)


async def test_a_request_that_crosses_with_a_close_is_sent_again(client: GuardedClient) -> None:
    async with receiver(closes_the_second) as made:
        for _ in range(2):
            assert isinstance(await client.send(made.url, b"{}"), Answered)
        assert len(made.heads) == 3
    # On a new connection, nothing was idle: it counts.
    async with receiver(says()) as made:
        assert isinstance(await client.send(made.url, b"{}"), Failed)
        assert len(made.heads) == 1


async def test_what_is_sent_after_the_answer_spoils_nothing(client: GuardedClient) -> None:
    poisoned = asyncio.Event()

    async def talks_on(made: Receiver, reader: Reader, writer: Writer) -> None:
        while True:
            await made.next(reader)
            writer.write(OK)
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 500 Poison\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            poisoned.set()

    async with receiver(talks_on) as made:
        for _ in range(3):
            outcome = await client.send(made.url, b"{}")
            assert isinstance(outcome, Answered)
            assert outcome.status == 200
            # Sent before that came, the next request would be answered by it.
            await poisoned.wait()
            poisoned.clear()
            await asyncio.sleep(0.1)


async def test_what_comes_with_the_end_of_an_answer_spoils_nothing(client: GuardedClient) -> None:
    """It is parsed before anybody sees that the answer is whole and its connection back."""

    async def answers_twice(made: Receiver, reader: Reader, writer: Writer) -> None:
        while True:
            await made.next(reader)
            writer.write(OK[:-1])
            await writer.drain()
            await asyncio.sleep(0.1)  # until its head was heard: only then is it not closed anyhow
            writer.write(OK[-1:] + b"HTTP/1.1 299 Poison\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

    async with receiver(answers_twice) as made:
        for _ in range(3):
            outcome = await client.send(made.url, b"{}")
            assert isinstance(outcome, Answered)
            assert outcome.status == 200
        assert made.sockets == 3


def together(wanted: int) -> Serve:
    """Answers when so many have come, and a moment later: one more has the time to come, too."""

    async def serve(made: Receiver, reader: Reader, writer: Writer) -> None:
        await made.next(reader)
        while made.most_open < wanted:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        writer.write(OK)
        await writer.drain()

    return serve


async def test_four_at_a_time_of_one_key(client: GuardedClient) -> None:
    async with receiver(together(4)) as made:
        outcomes = await asyncio.gather(*(client.send(made.url, b"{}") for _ in range(12)))
        assert all(isinstance(one, Answered) for one in outcomes)
        assert made.most_open == 4
    async with receiver(together(8)) as made:
        keys = [number % 2 for number in range(12)]
        await asyncio.gather(*(client.send(made.url, b"{}", key=key) for key in keys))
        assert made.most_open == 8
    assert client._turns._users == {}


async def test_one_that_hangs_delays_no_other(client: GuardedClient) -> None:
    async with receiver(silent) as hangs, receiver(fine) as made:
        waiting = [asyncio.create_task(client.send(hangs.url, b"{}")) for _ in range(9)]
        await asyncio.sleep(0.05)
        outcome = await client.send(made.url, b"{}")
        assert isinstance(outcome, Answered)
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert client._turns._users == {}


async def test_nothing_is_left_open_by_a_receiver_that_never_reads(
    impatient: GuardedClient,
) -> None:
    before = open_sockets()
    async with receiver(never_reads) as made:
        # More than the buffers of both ends take.
        outcome = await impatient.send(made.url, bytes(30_000_000))
        assert isinstance(outcome, Failed)
        assert outcome.kind == "timeout"
        async with asyncio.timeout(60):
            while open_sockets() > before + 2:  # the listener and the receiver's end
                await asyncio.sleep(0.01)


async def test_so_many_idle_connections_and_no_more(
    client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "MOST_IDLE", 2)
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(receiver(fine)) for _ in range(5)]
        for one in made:
            assert isinstance(await client.send(one.url, b"{}"), Answered)
        while sum(one.open for one in made) > 2:
            await asyncio.sleep(0.01)
        assert [one.open for one in made] == [1, 1, 0, 0, 0]
