"""Look-ups: shared, remembered for a moment, and no name delays another."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from milepost.egress.client import GuardedClient
from milepost.egress.lookup import Lookup
from milepost.egress.outcomes import Failed, Forbidden
from milepost.egress.policy import Policy
from milepost.settings import Settings

V4, V6 = socket.AF_INET, socket.AF_INET6


class Answers:
    """Stands for the system's resolver; a name that begins with ``slow`` waits until it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may = threading.Event()
        self.of: dict[str, list[tuple[Any, ...]]] = {}

    def look_up(self, host: str, port: Any, **more: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.may.wait(60)
        if host not in self.of:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(family, 1, 6, "", where) for family, where in self.of[host]]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    made = Answers()
    monkeypatch.setattr(socket, "getaddrinfo", made.look_up)
    yield made
    made.may.set()


async def test_all_answers_come_with_their_zones(answers: Answers) -> None:
    answers.of["a.test"] = [
        (V4, ("8.8.8.8", 0)),
        (V4, ("8.8.8.8", 0)),
        (V6, ("fe80::1", 0, 0, 2)),
        (V6, ("2606:4700::1111", 0, 0, 0)),
        (socket.AF_UNIX, ("/run/x",)),
    ]
    found = await Lookup().addresses("a.test")
    assert found == ((V4, "8.8.8.8"), (V6, "fe80::1%2"), (V6, "2606:4700::1111"))


async def test_an_answer_is_remembered_for_a_moment(answers: Answers) -> None:
    answers.of["a.test"] = [(V4, ("8.8.8.8", 0))]
    for keep, asked in ((60.0, 1), (0.0, 3)):
        answers.asked.clear()
        lookup = Lookup(keep_seconds=keep)
        for _ in range(3):
            await lookup.addresses("a.test")
        assert len(answers.asked) == asked


async def test_a_failure_is_not_remembered(answers: Answers) -> None:
    lookup = Lookup()
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await lookup.addresses("none.test")
    assert answers.asked == ["none.test"] * 2


async def test_who_waits_for_one_name_shares_its_look_up(answers: Answers) -> None:
    answers.of["slow.test"] = [(V4, ("8.8.8.8", 0))]
    lookup = Lookup()
    tasks = [asyncio.create_task(lookup.addresses("slow.test")) for _ in range(5)]
    while not answers.asked:
        await asyncio.sleep(0.01)
    # One of them gives up; the others get their answer.
    tasks[0].cancel()
    await asyncio.sleep(0)
    answers.may.set()
    assert {await task for task in tasks[1:]} == {((V4, "8.8.8.8"),)}
    assert answers.asked == ["slow.test"]


async def test_names_that_never_answer_delay_no_known_one(answers: Answers) -> None:
    answers.of["known.test"] = [(V4, ("8.8.8.8", 0))]
    lookup = Lookup(at_once=2, keep_seconds=0)
    await lookup.addresses("known.test")
    hanging = [asyncio.create_task(lookup.addresses(f"slow{n}.test")) for n in range(9)]

    def hang() -> int:
        return len([one for one in answers.asked if one.startswith("slow")])

    while hang() < 2:
        await asyncio.sleep(0.01)
    assert await lookup.addresses("known.test") == ((V4, "8.8.8.8"),)
    unknown = asyncio.create_task(lookup.addresses("new.test"))
    await asyncio.sleep(0.05)
    assert not unknown.done()
    # No more of them are asked than there are threads for.
    assert hang() == 2
    answers.may.set()
    told = await asyncio.gather(*hanging, unknown, return_exceptions=True)
    assert all(isinstance(one, socket.gaierror) for one in told)


async def test_a_name_is_refused_for_one_of_its_addresses(answers: Answers) -> None:
    answers.of["mixed.test"] = [(V4, ("8.8.8.8", 0)), (V4, ("10.0.0.1", 0))]
    answers.of["zoned.test"] = [(V6, ("2606:4700::1111", 0, 0, 3))]
    answers.of["odd.test"] = [(V4, ("no address", 0))]
    async with GuardedClient(Policy.of(Settings())) as client:
        for name in answers.of:
            outcome = await client.send(f"http://{name}/", b"{}")
            assert isinstance(outcome, Forbidden), name
        unknown = await client.send("http://none.test/", b"{}")
        assert unknown == Failed("dns", "its name is not known", 0, unknown.milliseconds)  # type: ignore[union-attr]


async def test_closing_leaves_what_hangs(answers: Answers) -> None:
    lookup = Lookup()
    task = asyncio.create_task(lookup.addresses("slow.test"))
    while not answers.asked:
        await asyncio.sleep(0.01)
    await lookup.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(one.daemon for one in threading.enumerate() if one.name == "egress look-up")
