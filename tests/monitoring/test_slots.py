"""Quotas: exact over processes, tokens and retries included; spaced by the second and the day."""

import asyncio
import itertools
import sys
from asyncio.subprocess import PIPE
from datetime import timedelta

import pytest
from tests.monitoring.stopwatch_carrier import stopwatch_carrier
from tests.parcels.conftest import registration

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.manifest import Quota
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.errors import ClaimLost, NoSlot
from milepost.monitoring import slots as slots_module
from milepost.monitoring.database_clock import DatabaseClock
from milepost.monitoring.slots import Budget, Ledger, hold
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer

PER_SECOND = 20
PARCELS = 60
CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"
AHEAD = (
    "SELECT extract(epoch FROM greatest(next_slot_at - now(), interval '0'))::float8"
    " FROM carrier_budget"
)
NEXT = "SELECT extract(epoch FROM next_slot_at)::float8 FROM carrier_budget"
MOVE = "UPDATE carrier_budget SET next_slot_at = next_slot_at - $1::interval"


def ledger(pool: Pool, quota: Quota, owner: str = "operator") -> Ledger:
    return Ledger(pool, DatabaseClock(), Budget("dhl", owner, quota))


async def ask_from_three_processes(
    dsn: str,
    admin_pool: Pool,
    app_pool: Pool,
    account: int,
    seconds: float,
    *mode: str,
    per_second: int = PER_SECOND,
) -> tuple[int, int, int]:
    """The most requests in a second, all of them, and those for tokens."""
    keys = SecretKeys((b"k" * 40,))
    credentials = CredentialStore(admin_pool, keys)
    await credentials.set_for_operator("dhl", {"api_key": "x"})
    renderer = Renderer(Catalogue.load(), CredentialStore(app_pool, keys), 30)
    registrar = Registrar(app_pool, renderer, timedelta(days=120))
    others = [
        await admin_pool.fetchval("INSERT INTO account (name) VALUES ('x') RETURNING account_id")
        for _ in range(2)
    ]
    for number, owner in enumerate([account, *others] * (PARCELS // 3)):
        await registrar.register(owner, registration(tracking_number=f"N{number}"))
    with stopwatch_carrier() as asked:
        arguments = [dsn, str(asked.port), str(seconds), str(per_second), "60", *mode]
        workers = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.monitoring.asking_worker", *arguments),
                stdin=PIPE,
                stdout=PIPE,
            )
            for _ in range(3)
        ]
        # All at once: how long each takes to start is up to the machine.
        for worker in workers:
            assert worker.stdout is not None
            assert await worker.stdout.readline() == b"ready\n"
        await asyncio.gather(*(worker.communicate(b"\n") for worker in workers))
        assert [worker.returncode for worker in workers] == [0, 0, 0]
    return asked.most_in(1.0), len(asked.asked), asked.count("/token")


async def test_three_processes_keep_one_quota_token_calls_included(
    dsn: str, admin_pool: Pool, app_pool: Pool, account: int
) -> None:
    most, asked, tokens = await ask_from_three_processes(dsn, admin_pool, app_pool, account, 3)
    assert most <= PER_SECOND
    assert asked > PER_SECOND, "the quota is used"
    assert tokens >= 3, "each process has its own"


async def test_processes_that_count_alone_are_caught(
    dsn: str, admin_pool: Pool, app_pool: Pool, account: int
) -> None:
    # A quota so small that each of them can use it up, however busy the machine is.
    few = 5
    most, _, _ = await ask_from_three_processes(
        dsn, admin_pool, app_pool, account, 2, "alone", per_second=few
    )
    assert most > few


@pytest.mark.parametrize(
    ("quota", "span", "limit"),
    [
        (Quota(per_minute=30), 60, 30),
        (Quota(per_second=5, per_minute=40), 60, 40),
        (Quota(per_hour=60), 3600, 60),
        (Quota(per_second=0.2, per_day=250), 86_400, 250),
    ],
)
async def test_minutes_and_days_are_spaced(
    worker_pool: Pool, quota: Quota, span: float, limit: int
) -> None:
    """As if all slots were used at once: the row's clock is moved on to the next each time."""
    moved, starts = 0.0, []
    slots = ledger(worker_pool, quota)
    for _ in range(limit + 60):
        grant = await slots._take(timedelta(seconds=1), 5)
        if grant.granted:
            gap = quota.spacing_seconds
            first = grant.start_at.timestamp() + moved
            starts += [first + place * gap for place in range(grant.granted)]
        ahead = await worker_pool.fetchval(AHEAD)
        await worker_pool.execute(MOVE, timedelta(seconds=ahead))
        moved += ahead
    assert len(starts) > limit
    assert all(later - first >= span for first, later in zip(starts, starts[limit:], strict=False))
    # What this test takes itself comes on top of a gap: the least tells how dense they may be.
    pace = min(later - first for first, later in itertools.pairwise(starts))
    assert pace == pytest.approx(span / (0.95 * limit), rel=0.01), "95 % of it is used"


@pytest.mark.parametrize(
    ("quota", "slack", "late"),
    [
        (Quota(), float("inf"), float("inf")),
        (Quota(per_second=10), 0.1, 0.05),
        (Quota(per_second=1.5), 0.0667, 0.0333),
        (Quota(per_minute=60), 3.158, 0.2),
        (Quota(per_second=0.2, per_day=250), 358.8, 0.2),
    ],
)
def test_a_request_may_be_late_by_half_of_what_a_window_bears(
    quota: Quota, slack: float, late: float
) -> None:
    assert quota.slack_seconds == pytest.approx(slack, rel=0.01)
    assert Budget("dhl", "operator", quota).late_seconds == pytest.approx(late, rel=0.01)


async def test_only_what_starts_within_a_second_is_handed_out(worker_pool: Pool) -> None:
    quota = Quota(per_second=1.5)
    slots = [ledger(worker_pool, quota) for _ in range(8)]
    grants = await asyncio.gather(*(one.take(1) for one in slots))
    # Seen from when each asked: how long they take together is up to the machine.
    assert all((grant.wait <= slots_module.HORIZON) is (grant.granted == 1) for grant in grants)
    starts = sorted(grant.start_at for grant in grants if grant.granted)
    assert len(starts) >= 2
    gap = timedelta(seconds=quota.spacing_seconds)
    assert all(later - first >= gap * 0.999 for first, later in itertools.pairwise(starts))
    assert {grant.why for grant in grants if not grant.granted} == {"quota"}
    assert (await ledger(worker_pool, quota, "account:7").take(1)).granted, "its own quota"


async def test_unused_slots_go_back_unless_others_have_later_ones(
    worker_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Slots so far apart that none is over before it is asked for.
    monkeypatch.setattr(slots_module, "HORIZON", timedelta(minutes=1))
    quota = Quota(per_minute=10)
    gap = timedelta(seconds=quota.spacing_seconds)
    first, second, third = (ledger(worker_pool, quota) for _ in range(3))
    taken = await first.take(50)
    assert taken.granted == 10
    await first.keep(3)
    later = await second.take(2)
    assert later.start_at - taken.start_at == 3 * gap
    await first.close()
    assert (await third.take(1)).start_at - later.start_at == 2 * gap, "nobody takes from under it"


async def test_each_request_beyond_the_first_waits_for_a_slot_of_its_own(worker_pool: Pool) -> None:
    quota = Quota(per_minute=600)
    slots = ledger(worker_pool, quota)
    first = await slots.take(1)
    for _ in range(4):
        slot = slots.slot()
        await slot.near()
        await slot.start()
    # From the first one's time: when it was seen to start is later on a busy machine.
    lasted = await worker_pool.fetchval(CLOCK) - first.start_at.timestamp()
    assert lasted >= 3 * quota.spacing_seconds - 0.03


class Frozen(DatabaseClock):
    """A process that is away for as long as the test says."""

    away = 0.0

    def now(self) -> float:
        return super().now() + self.away


async def test_a_slot_whose_time_is_over_is_forfeited(worker_pool: Pool) -> None:
    clock = Frozen()
    # Of a minute: a request may be a fifth of a second late, of a second a twentieth.
    slots = Ledger(worker_pool, clock, Budget("dhl", "operator", Quota(per_minute=600)))
    first = await slots.take(1)
    slot = slots.slot()
    await slot.near()
    await asyncio.sleep(0.5)
    await slot.start()
    sent = await worker_pool.fetchval(CLOCK)
    assert sent - first.start_at.timestamp() > 0.4
    next_at = await worker_pool.fetchval(NEXT)
    assert next_at - first.start_at.timestamp() > 0.4, "it took another one"
    clock.away = 3600.0  # never in time
    with pytest.raises(NoSlot, match="too slow"):
        await slots.slot().start()


async def test_nobody_asks_with_a_lost_lease_or_when_the_carrier_said_wait(
    worker_pool: Pool,
) -> None:
    slots = ledger(worker_pool, Quota(per_second=10))
    await slots.take(1)

    def lost() -> None:
        raise ClaimLost("gone")

    slot = slots.slot(lost)
    await slot.near()
    with pytest.raises(ClaimLost):
        await slot.start()
    await hold(worker_pool, "dhl", "operator", 60)
    with pytest.raises(NoSlot, match="quota"):
        await slots.slot().near()
    with pytest.raises(NoSlot):
        await slots.slot().near()


def test_the_database_clock_is_known_from_both_sides() -> None:
    """It is 1000 s ahead here; answers are slow on either way, and then it is set."""
    ours = 0.0
    clock = DatabaseClock(lambda: ours)
    for there, back in ((0.5, 0.1), (0.1, 0.5), (0.002, 0.003)):
        asked, ours = ours, ours + there + back
        clock.heard(asked, asked + there + 1000)
        assert ours + 1000 - back <= clock.now() <= ours + 1000
    assert not clock.due(0.01)
    asked, ours = ours, ours + 0.4
    clock.heard(asked, asked + 0.3 + 1000)
    assert ours + 1000 - 0.01 <= clock.now() <= ours + 1000, "a slow answer teaches nothing new"
    clock.heard(ours, ours + 500)
    assert clock.now() == ours + 500
    ours += 100
    clock.heard(ours - 2, ours + 499)
    assert clock.due(0.01)
    assert not clock.due(0.01), "not all the time"
