"""P13 over HTTP: several API servers, one account, far more writes than it may send.

``P13_SECONDS`` (4.8) is how long, ``P13_SERVERS`` (2) on how many. Only above a minute does its
window slide here; in short form tests/accounts/test_budget_overload.py does. What acts is all of
it, from ``milepost account limit`` to the 429 and its Retry-After.
"""

import asyncio
import base64
import itertools
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import pytest
from bench.ports import free_port
from tests.chaos.clients import TRACKING, document
from tests.chaos.installation import Installation, Key, installation
from tests.live_server import Server, wait_until_ready
from tests.promises.figures import keep

WRITES, BURST = 20, 5
RATE = 20
SECONDS = float(os.environ.get("P13_SECONDS", "4.8"))
SERVERS = int(os.environ.get("P13_SERVERS", "2"))
MINUTE = 60.0
HANDED_OUT = 0.98
"""Of the budget, at least."""
V2 = "/api/v2/tracking/X"
pytestmark = [pytest.mark.promise, pytest.mark.timeout(300 + 2 * SECONDS)]
_serials = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Line:
    """One request in the ledger: when it was sent and answered, and how."""

    sent: float
    answered: float
    status: int
    retry_after: int
    body: bytes


def verdict(ledger: Sequence[Line], limit: int, burst: int, seconds: float = SECONDS) -> list[str]:
    """What is wrong with the outcome of an overload of ``seconds``.

    An answer was decided somewhere between its being asked for and its being given, so what lies
    within a second (a minute) from end to end was certainly let through in it.
    """
    wrong = [
        f"{line.status}: {line.body[:100]!r}" for line in ledger if line.status not in (200, 429)
    ]
    accepted = [line for line in ledger if line.status == 200]
    for name, span, most in (("minute", MINUTE, limit), ("second", 1.0, burst)):
        count = max((_within(accepted, first.sent, span) for first in accepted), default=0)
        if count > most:
            wrong.append(f"{count} accepted in one {name} of {most}")
    least = limit * max(1.0, HANDED_OUT * seconds / MINUTE)
    if len(accepted) < int(least):
        wrong.append(f"only {len(accepted)} accepted of {int(least)}")
    refused = [line for line in ledger if line.status == 429]
    if not all(1 <= line.retry_after <= 61 for line in refused):
        wrong.append("a 429 without a time to wait")
    return wrong


def _within(accepted: Sequence[Line], since: float, span: float) -> int:
    return sum(line.sent >= since and line.answered < since + span for line in accepted)


class Caller:
    """Asks the servers in turn."""

    def __init__(self, session: aiohttp.ClientSession, ports: Sequence[int]) -> None:
        self._session = session
        self._ports = itertools.cycle(ports)

    async def write(self, key: Key) -> Line:
        """Register one more parcel."""
        body = json.dumps(document(f"RATE{next(_serials):08d}", "slowpost")).encode()
        return await self.ask("POST", TRACKING, key, body)

    async def ask(self, method: str, path: str, key: Key, body: bytes = b"") -> Line:
        """One request to the next server."""
        login = base64.b64encode(key.user.encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        url, sent = f"http://127.0.0.1:{next(self._ports)}{path}", time.monotonic()
        async with self._session.request(method, url, data=body, headers=headers) as got:
            answer = await got.read()
            wait = int(got.headers.get("Retry-After", 0))
            return Line(sent, time.monotonic(), got.status, wait, answer)

    async def overload(self, keys: Sequence[Key]) -> list[Line]:
        """``RATE`` writes a second whatever comes back, by the keys in turn; in short form until
        the budget of a minute is gone, for a busy machine misses some seconds' bursts."""
        started, tasks = time.monotonic(), []
        for number in range(int(RATE * max(SECONDS, MINUTE / 2))):
            await asyncio.sleep(max(0.0, started + number / RATE - time.monotonic()))
            # Two by two, so that each key meets each server.
            tasks.append(asyncio.create_task(self.write(keys[number // 2 % len(keys)])))
            accepted = sum(one.done() and one.result().status == 200 for one in tasks)
            if number + 1 >= RATE * SECONDS and accepted >= WRITES:
                break
        return list(await asyncio.gather(*tasks))

    async def patient(self, key: Key) -> list[Line]:
        """The tries of one write that waits as long as it is told to."""
        tries = [await self.write(key)]
        while tries[-1].status != 200:
            assert tries[-1].status == 429, tries[-1].body
            await asyncio.sleep(tries[-1].retry_after)
            tries.append(await self.write(key))
        return tries


def limited(house: Installation, number: int, **limits: int) -> None:
    options = [word for name, value in limits.items() for word in (f"--{name}", str(value))]
    server = Server(house.port, house.state_dir)
    server.command("account", "limit", f"client {number}", *options)


def another_key(house: Installation, number: int) -> Key:
    new = Server(house.port, house.state_dir).command(
        "key", "create", "--account", f"client {number}"
    )
    return Key(house.keys[number].account_id, new["public_key"], new["secret_key"])


async def test_limits_hold_over_all_servers_and_keys() -> None:
    with installation() as house:
        await house.prepare(4, free_port())
        await asyncio.to_thread(house.start)
        others = [free_port() for _ in range(SERVERS - 1)]
        beside = {port: house.spawn("api", port) for port in others}
        for port, process in beside.items():
            await asyncio.to_thread(wait_until_ready, process, port, house.log)
        other = others[0]
        loaded, alone, apart, calm = house.keys
        await asyncio.gather(
            *(
                asyncio.to_thread(limited, house, number, reads=3, writes=WRITES, burst=BURST)
                for number in (0, 1, 2)
            ),
            asyncio.to_thread(limited, house, 3, writes=0, burst=BURST),
        )
        both = [loaded, await asyncio.to_thread(another_key, house, 0)]
        await asyncio.sleep(1)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            caller = Caller(session, (house.port, *others))
            waiting = [asyncio.create_task(caller.patient(calm)) for _ in range(2 * BURST)]
            # The planted fault, each server counting alone: here it has an account of its own.
            ledger, *counted_alone = await asyncio.gather(
                caller.overload(both),
                Caller(session, (house.port,)).overload([alone]),
                Caller(session, (other,)).overload([apart]),
            )
            patient = await asyncio.gather(*waiting)
            reads = [await caller.ask("GET", V2, loaded) for _ in range(5)]
            house.kill(beside[other])
            again = house.spawn("api", other)
            await asyncio.to_thread(wait_until_ready, again, other, house.log)
            # What it lets through counts with what was let through before.
            new = Caller(session, (other,))
            after_restart = [await new.write(loaded) for _ in range(WRITES)]
        wrong = verdict([*ledger, *after_restart], WRITES, BURST)
        seen = verdict(list(itertools.chain(*counted_alone)), WRITES, BURST)
        keep(
            "P13 over HTTP",
            asked=len(ledger),
            accepted=sum(line.status == 200 for line in ledger),
            limit=WRITES,
            seconds=SECONDS,
            servers=SERVERS,
            wrong=wrong,
            planted=seen[:3],
        )
        assert wrong == []
        assert judged_patient(patient) == []
        assert [line.status for line in reads] == [404, 404, 404, 429, 429]
        assert [line.body for line in reads[3:]] == [b"", b""]
        if after_restart[0].answered - min(line.sent for line in ledger) < MINUTE:
            assert after_restart[0].status == 429, "a new process finds the budget as it is"
        assert any("in one minute" in line for line in seen)


def judged_patient(writes: Sequence[Sequence[Line]]) -> list[str]:
    """What is wrong with writes that came at once, two for each that a second lets in: who waits as
    told has waited enough. On a busy machine they do not come in one second; then more get in."""
    tries, first = sorted(map(len, writes)), [one[0] for one in writes]
    at_once = max(one.answered for one in first) < min(one.sent for one in first) + 1
    most = BURST if at_once else len(writes)
    if not BURST <= tries.count(1) <= most or tries[-1] > 2:
        return [f"writes took {tries} tries"]
    return verdict(list(itertools.chain(*writes)), len(writes), BURST)


def test_the_check_sees_budget_that_is_not_handed_out_and_429s_without_a_time() -> None:
    moments = [number * 0.3 for number in range(WRITES - 1)]
    ledger = [Line(moment, moment + 0.01, 200, 0, b"") for moment in moments]
    assert verdict(ledger, WRITES, BURST, 4.8) == ["only 19 accepted of 20"]
    refused = Line(9.0, 9.01, 429, 0, b"")
    assert "a 429 without a time to wait" in verdict([*ledger, refused], WRITES, BURST, 4.8)


def test_the_check_sees_servers_that_count_a_second_alone() -> None:
    both = [Line(n / 100, n / 100 + 0.01, 200, 0, b"") for n in range(2 * BURST)]
    assert "10 accepted in one second of 5" in verdict(both, WRITES, BURST)


def test_the_judge_of_the_patient_sees_who_waits_in_vain_and_who_does_not_wait() -> None:
    yes, no = Line(0, 0.1, 200, 0, b""), Line(0, 0.1, 429, 1, b"")
    again = Line(1.2, 1.3, 200, 0, b"")
    assert judged_patient([[yes]] * BURST + [[no, again]] * BURST) == []
    assert judged_patient([[yes]] * (BURST + 1) + [[no, again]] * (BURST - 1)) != []
    assert judged_patient([[yes]] * (BURST - 1) + [[no, again]] * (BURST + 1)) != []
    assert judged_patient([[yes]] * BURST + [[no, no, again]] * BURST) != []


def test_the_check_sees_a_window_that_slides_wrongly() -> None:
    """A budget that is full again at each new minute of the clock lets two of them in at once."""
    at_the_turn = [Line(55 + n / 10, 55.01 + n / 10, 200, 0, b"") for n in range(2 * WRITES)]
    assert verdict(at_the_turn, WRITES, WRITES, 60) == ["40 accepted in one minute of 20"]
