"""Leases: renewed while a check lasts, lost to who takes over, and never believed for too long."""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp import web
from tests.monitoring.conftest import House

from milepost.carriers.connector import Credential, Item, NotFound, Outcome
from milepost.carriers.exchange import Asks
from milepost.carriers.registry import Carrier
from milepost.errors import ClaimLost
from milepost.monitoring.check import Checker
from milepost.monitoring.claim import Claimed, claim
from milepost.monitoring.leases import Leases

LEASE = timedelta(seconds=60)
SHORT = 1.5
LASTS = 6.0
"""Seconds: begun anew every two, and longer than it takes here to see that."""


async def let_leases_end(house: House) -> None:
    await house.run("UPDATE watch SET due_at = now(), lease_until = now()")


async def test_a_renewed_lease_is_nobody_elses_and_a_settled_one_is_left_alone(
    house: House,
) -> None:
    for _ in range(3):
        await house.register(carrier_code="sandbox")
    lane = await house.lane()
    leases = Leases(house.pool, lane, LEASE)
    async with leases.held() as hold:
        rows = hold(await claim(house.pool, lane, 3, LEASE))
        await let_leases_end(house)
        await leases.renew()
        assert await claim(house.pool, lane, 3, LEASE) == []
        leases.check(rows)
        # One is settled, one is taken over, one is held.
        await house.run(
            "UPDATE watch SET lease_until = NULL, due_at = 'infinity' WHERE parcel_id = $1",
            rows[0].parcel_id,
        )
        await house.run(
            "UPDATE watch SET fence = fence + 1 WHERE parcel_id = $1", rows[1].parcel_id
        )
        await leases.renew()
        assert await house.run("SELECT count(*) FROM watch WHERE due_at = 'infinity'") == 1
        with pytest.raises(ClaimLost):
            leases.check([rows[1]])
        leases.check([rows[2]])


async def test_a_lease_is_believed_no_longer_than_it_lasts(house: House) -> None:
    """Whatever the database would say now: a frozen process asks nobody when it goes on."""
    await house.register(carrier_code="sandbox")
    now = 0.0
    leases = Leases(house.pool, await house.lane(), LEASE, lambda: now)
    async with leases.held() as hold:
        now = 5.0  # the claim took that long, and its lease may have begun with it
        rows = hold(await claim(house.pool, await house.lane(), 1, LEASE))
        now = 59.9
        leases.check(rows)
        now = 60.0
        with pytest.raises(ClaimLost):
            leases.check(rows)


async def test_what_is_settled_or_was_never_held_is_not_ours(house: House) -> None:
    for _ in range(2):
        await house.register(carrier_code="sandbox")
    now = 0.5
    lane = await house.lane()
    leases = Leases(house.pool, lane, LEASE, lambda: now)
    before = asyncio.all_tasks()
    async with leases.held() as hold:
        rows = await claim(house.pool, lane, 2, LEASE)
        with pytest.raises(ClaimLost):
            leases.check(rows)
        hold(rows)
        leases.let_go(rows[:1])
        await house.run("UPDATE watch SET fence = fence + 1")
        now = 0.75
        await leases.renew()
        leases.check(rows[:1])  # its lease was not asked for again, and has not run out
        with pytest.raises(ClaimLost):
            leases.check(rows[1:])
    assert asyncio.all_tasks() == before, "nothing is renewed any more"


@pytest.mark.parametrize("renewed", [True, False])
async def test_a_check_that_outlasts_its_lease_keeps_its_parcels(
    house: House, monkeypatch: pytest.MonkeyPatch, renewed: bool
) -> None:
    """Without renewal (the planted fault) another worker asks as well."""

    class Slow:
        asked = 0

        async def ask(
            self, items: list[Item], credential: Credential, carrier: Asks
        ) -> dict[Item, Outcome]:
            self.asked += 1
            if self.asked == 1:
                await answers.wait()
            return {item: NotFound() for item in items}

    slow, answers = Slow(), asyncio.Event()
    monkeypatch.setattr(Carrier, "connector", lambda self: slow)
    if not renewed:

        async def never(self: Leases) -> None:
            pass

        monkeypatch.setattr(Leases, "_keep_renewing", never)
    await house.register(carrier_code="sandbox")
    checker: Checker = house.checker
    monkeypatch.setattr(checker, "_lease", timedelta(seconds=LASTS))
    lane = await house.lane()
    first = asyncio.create_task(checker.check(lane))
    while not slow.asked:
        await asyncio.sleep(0.01)
    # As if it had been asked a lease ago.
    await let_leases_end(house)
    while renewed and not await house.run("SELECT lease_until > now() FROM watch"):
        await asyncio.sleep(0.05)
    assert await checker.check(lane) == (0 if renewed else 1)
    answers.set()
    await first
    assert slow.asked == (1 if renewed else 2)


@contextlib.asynccontextmanager
async def carrier(asked: list[str]) -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/track":
            await asyncio.sleep(0.3)
        return web.json_response({"access_token": "t", "expires_in": 60})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize("mode", ["", "believing"])
async def test_a_worker_that_was_stopped_asks_and_writes_nothing_any_more(
    house: House, dsn: str, mode: str
) -> None:
    await house.credentials.set_for_account(house.account, "dhl", {"api_key": "x"})
    for number in range(4):
        await house.register(tracking_number=f"N{number}")
    asked: list[str] = []
    async with carrier(asked) as port:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.monitoring.asking_worker", dsn, str(port)),
            *("60", "4", str(SHORT), *filter(None, [mode])),
            stdin=DEVNULL,
            stdout=DEVNULL,
        )
        try:
            while "/track" not in asked:
                await asyncio.sleep(0.01)
            worker.send_signal(signal.SIGSTOP)
            await asyncio.sleep(SHORT)
            lane = await house.lane("dhl")
            rows: list[Claimed] = []
            while len(rows) < 4:
                rows += await claim(house.pool, lane, 4, LEASE)
                await asyncio.sleep(0.05)
            before = await house.run(STATE)
            told = len(asked)
            worker.send_signal(signal.SIGCONT)
            await asyncio.sleep(1.5)
            while mode and len(asked) == told:
                await asyncio.sleep(0.05)
        finally:
            worker.kill()
            await worker.wait()
    assert await house.run(STATE) == before, "the fence refuses what it found out"
    assert (asked[told:] != []) is (mode == "believing")


STATE = (
    "SELECT jsonb_agg(jsonb_build_array(parcel_id, fence, due_at, last_checked_at, misses, urgency)"
    " ORDER BY parcel_id) FROM watch"
)
