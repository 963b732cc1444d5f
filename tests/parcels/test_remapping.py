"""Stored parcels read by other rules: shown first, kept by the one path, the same however often."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.parcels.conftest import registration
from tests.tracking.order_free import START, poll, scan_at

from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, retrying, tenant
from milepost.monitoring.plan import Planning
from milepost.parcels.record import Kept, Recorder, WatchPlan
from milepost.parcels.register import Registrar
from milepost.parcels.remapping import Difference, Remapping, Scope
from milepost.parcels.render import Renderer
from milepost.parcels.stored import StoredParcel, load
from milepost.settings import Settings
from milepost.tracking.events import Wording
from milepost.tracking.journey import Journey
from milepost.tracking.vocabulary import UNREAD, Phase, Reading

VERSION = 9
DELIVERED, ON_ITS_WAY = Reading(Phase.DELIVERED), Reading(Phase.IN_TRANSIT)
UNKNOWN = "unknown unknown warning unknown"
ACTOR = "cli"
MINUTES = {"A": 60, "X7": 600, "Z9": 700}


def x7_is(reading: Reading) -> Any:
    def read(_: str, told: Wording) -> tuple[Reading, int] | None:
        return (reading, VERSION) if told.raw_code == "X7" else None

    return read


class Desk:
    """One account with parcels, and what reads them once more."""

    def __init__(self, account: int, registrar: Registrar, recorder: Recorder, pool: Pool) -> None:
        self.account, self.pool, self.recorder, self.registrar = account, pool, recorder, registrar
        self.planning = Planning(Settings())
        self.begins = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=2)
        self.catalogue = Catalogue.load()

    async def parcel(self, **says: str) -> int:
        """A parcel with an event of each code, in the order of MINUTES."""
        known = await self.parcels()
        await self.registrar.register(self.account, registration(announced_at=self.begins))
        (made,) = set(await self.parcels()) - set(known)
        scans = [scan_at(MINUTES[code], code, said) for code, said in says.items()]
        await self.tell(made, 20, *scans)
        return made

    async def tell(self, parcel_id: int, hour: float, *scans: Any) -> None:
        """What a worker records ``hour`` hours after the story began."""
        later = self.begins - START
        moved = [
            replace(
                scan,
                moment=replace(
                    scan.moment,
                    instant=scan.moment.instant + later,
                    home_minute=(scan.moment.instant + later).isoformat()[:16],
                ),
            )
            for scan in scans
        ]
        told = replace(poll(hour, *moved), observed_at=self.begins + timedelta(hours=hour))
        plan = WatchPlan(1, 3600.0, 0, "ab")
        now = told.observed_at
        await self.recorder.record(self.account, parcel_id, told, now, lambda *_: plan)

    async def parcels(self) -> list[int]:
        async with tenant(self.pool, self.account) as conn:
            rows = await conn.fetch("SELECT parcel_id FROM parcel ORDER BY parcel_id")
        return [row[0] for row in rows]

    def remapping(self, reading: Reading, recorder: Recorder | None = None) -> Remapping:
        renderer = self.recorder._renderer

        def plan(journey: Journey, parcel: StoredParcel) -> WatchPlan | None:
            known = self.catalogue.get(parcel.carrier_code)
            assert known is not None
            return self.planning.after_rereading(known.manifest, journey, parcel, datetime.now(UTC))

        recorder = recorder or self.recorder
        return Remapping(self.pool, renderer, recorder, x7_is(reading), plan)

    async def preview(self, reading: Reading, scope: Scope | None = None) -> Difference:
        difference = Difference()
        await self.remapping(reading).preview(self.account, scope or Scope(), difference)
        return difference

    async def apply(
        self, reading: Reading, recorder: Recorder | None = None, *, tell: bool = False
    ) -> Difference:
        done = Difference()
        remapping = self.remapping(reading, recorder)
        await remapping.apply(self.account, Scope(), done, ACTOR, tell=tell)
        return done

    async def rows(self, sql: str) -> list[Any]:
        async with tenant(self.pool, self.account) as conn:
            return [tuple(row) for row in await conn.fetch(sql)]

    async def stored(self) -> dict[int, StoredParcel]:
        wanted = await self.parcels()
        return await retrying(lambda: load(self.pool, self.account, wanted))

    async def everything(self) -> list[Any]:
        """All that applying may change, in a form in which two accounts are compared."""
        told = await self.rows(
            "SELECT status, phase, ended_at, first_scan_at, last_scan_at, revision, event_count "
            "FROM parcel ORDER BY parcel_id"
        )
        facts = await self.rows("SELECT fact FROM event ORDER BY parcel_id, sequence")
        return [told, [one for one in facts if one[0]["type"] == "carrier"]]


@pytest.fixture
async def desk(account: int, registrar: Registrar, renderer: Renderer, worker_pool: Pool) -> Desk:
    return Desk(account, registrar, Recorder(worker_pool, renderer), worker_pool)


async def test_the_difference_is_shown_and_nothing_written(desk: Desk) -> None:
    one = await desk.parcel(A="sorted", X7=UNKNOWN)
    await desk.parcel(A="sorted")
    two = await desk.parcel(A="sorted", X7=UNKNOWN, Z9="in_delivery")
    before = await desk.everything()
    difference = await desk.preview(ON_ITS_WAY)
    assert (difference.read, difference.changed, difference.events) == (3, 2, 2)
    ((code, count),) = difference.codes.items()
    assert code == ("sandbox", "X7", UNREAD, ON_ITS_WAY)
    assert (count.events, count.parcels, count.examples) == (2, 2, [one, two])
    ((status, parcels),) = difference.statuses.items()
    assert status == ("UNKNOWN", "SHIPMENT_ON_ROUTE")
    assert parcels.examples == [one]
    assert await desk.everything() == before
    nothing = await desk.preview(ON_ITS_WAY, Scope(since=datetime.now(UTC) + timedelta(days=1)))
    assert nothing.read == 0
    assert (await desk.preview(ON_ITS_WAY, Scope(("ups",)))).read == 0


async def test_what_is_applied_is_kept_once_and_told_to_nobody(desk: Desk) -> None:
    parcel = await desk.parcel(A="sorted", X7=UNKNOWN)
    told = await desk.rows("SELECT outbox_id FROM outbox")
    ((revision,),) = await desk.rows("SELECT revision FROM parcel")
    difference = await desk.apply(DELIVERED)
    assert (difference.changed, difference.ended, difference.reopened) == (1, 1, 0)
    assert await desk.rows("SELECT status, revision FROM parcel") == [("DELIVERED", revision + 1)]
    versions = "SELECT raw_code, mapping_version FROM event WHERE raw_code IN ('A', 'X7')"
    assert set(await desk.rows(versions)) == {("A", 1), ("X7", VERSION)}
    assert await desk.rows("SELECT outbox_id FROM outbox") == told
    ((answer,),) = await desk.rows("SELECT v3_answer FROM parcel")
    assert b"DELIVERED" in answer
    noted = await desk.rows("SELECT actor, detail FROM audit WHERE action = 'mapping'")
    assert noted == [(ACTOR, {"parcels": 1})]
    again = await desk.apply(DELIVERED)
    assert (again.read, again.changed) == (1, 0)
    assert await desk.rows("SELECT status, revision FROM parcel") == [("DELIVERED", revision + 1)]
    back = await desk.apply(UNREAD)
    assert (back.reopened, (await desk.stored())[parcel].ended_at) == (1, None)


async def test_with_notify_the_deciding_event_is_told_once(desk: Desk) -> None:
    await desk.parcel(A="sorted", X7=UNKNOWN)
    told = await desk.rows("SELECT outbox_id FROM outbox")
    await desk.apply(DELIVERED, tell=True)
    await desk.apply(DELIVERED, tell=True)
    new = "SELECT kind, raw_code FROM outbox JOIN event USING (account_id, parcel_id, sequence)"
    assert await desk.rows(f"{new} WHERE outbox_id > {max(told)[0]}") == [("event", "X7")]


async def test_who_ends_is_asked_less_and_who_goes_on_is_asked_again(desk: Desk) -> None:
    desk.begins -= timedelta(days=90)
    await desk.parcel(A="sorted", X7="delivered")
    (before,) = await desk.rows("SELECT fence, due_at FROM watch")
    await desk.apply(ON_ITS_WAY)
    (reopened,) = await desk.rows(
        "SELECT fence, urgency, answer_hash, due_at <= now() OR due_at = 'infinity' FROM watch"
    )
    # Its last scan is long ago: it is given up instead, and says so.
    assert reopened[:3] == (before[0] + 1, 1, None)
    assert reopened[3]
    assert await desk.rows("SELECT stop_reason <> '' FROM parcel") == [(True,)]
    await desk.apply(DELIVERED)
    assert await desk.rows("SELECT fence, status FROM watch, parcel") == [
        (reopened[0], "DELIVERED")
    ], "who was given up stays so"


async def test_a_young_parcel_that_goes_on_is_due_at_once(desk: Desk) -> None:
    await desk.parcel(A="sorted", X7="delivered")
    await desk.apply(ON_ITS_WAY)
    asked = "SELECT due_at <= now() + interval '3 hours', lease_until, misses FROM watch"
    assert await desk.rows(asked) == [(True, None, 0)]
    assert await desk.rows("SELECT stop_reason FROM parcel") == [("",)]


class Killed(BaseException):
    """In place of a kill: nothing after it runs."""


class Dying(Recorder):
    """Dies after it has kept so many parcels."""

    left = 2

    async def reread(self, *args: Any, **named: Any) -> Kept | None:
        if self.left == 0:
            raise Killed
        self.left -= 1
        return await super().reread(*args, **named)


async def test_killed_in_the_middle_and_run_again_is_run_once(
    desk: Desk, admin_pool: Pool, renderer: Renderer
) -> None:
    statement = "INSERT INTO account (name) VALUES ('the other') RETURNING account_id"
    other = Desk(await admin_pool.fetchval(statement), desk.registrar, desk.recorder, desk.pool)
    other.begins = desk.begins
    for each in (desk, other):
        for _ in range(3):
            await each.parcel(A="sorted", X7=UNKNOWN)
            await each.parcel(X7=UNKNOWN, Z9="in_delivery")
    await desk.apply(DELIVERED)
    with pytest.raises(Killed):
        await other.apply(DELIVERED, Dying(desk.pool, renderer))
    half = await other.preview(DELIVERED)
    assert 0 < half.changed < 6
    assert (await other.apply(DELIVERED)).changed == half.changed
    assert await desk.everything() == await other.everything()


class Interrupted(Recorder):
    """A worker records just before this one writes. ``trusting`` plants the fault: the guard is
    asked about the revision that stands, not the one that was read."""

    def __init__(self, desk: Desk, *, trusting: bool) -> None:
        super().__init__(desk.pool, desk.recorder._renderer)
        self.desk, self.trusting, self.writes = desk, trusting, 0

    async def _write(self, statement: str, kept: Kept, *more: Any) -> bool:
        self.writes += 1
        if self.writes == 1:
            await self.desk.tell(kept.before.parcel_id, 21, scan_at(60, "A", "sorted"), LATE)
            if self.trusting:
                (before,) = (await self.desk.stored()).values()
                kept = replace(kept, before=before)
        return await super()._write(statement, kept, *more)


LATE = scan_at(1220, "LATE", "delivered")


@pytest.mark.parametrize("trusting", [False, True])
async def test_a_worker_that_records_meanwhile_loses_nothing(desk: Desk, trusting: bool) -> None:
    parcel = await desk.parcel(A="sorted", X7=UNKNOWN)
    await desk.apply(ON_ITS_WAY, Interrupted(desk, trusting=trusting))
    stored = (await desk.stored())[parcel]
    codes = {event.wording.raw_code for event in stored.events}
    assert {"A", "X7", "LATE"} <= codes
    readings = {event.wording.raw_code: event.wording.reading for event in stored.events}
    assert readings["X7"] == ON_ITS_WAY
    is_right = await desk.rows("SELECT status FROM parcel") == [("DELIVERED",)]
    assert is_right is not trusting, "the planted fault is noticed"


async def test_many_workers_and_two_runs_at_once(desk: Desk) -> None:
    parcels = [await desk.parcel(A="sorted", X7=UNKNOWN) for _ in range(4)]
    worker = [
        desk.tell(parcel, 30 + turn, scan_at(1500 + turn, f"W{turn}", "in_delivery"))
        for parcel in parcels
        for turn in range(3)
    ]
    await asyncio.gather(desk.apply(DELIVERED), *worker, desk.apply(DELIVERED))
    await desk.apply(DELIVERED)
    for stored in (await desk.stored()).values():
        codes = {event.wording.raw_code: event.wording.reading for event in stored.events}
        assert {"A", "X7", "W0", "W1", "W2"} <= codes.keys()
        assert codes["X7"] == DELIVERED
