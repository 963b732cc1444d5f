"""A Hypothesis machine: what may happen to parcels, who tells it, and what must be stored then."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.promises import scan_model
from tests.promises.house import House
from tests.promises.scan_model import Model, Telling
from tests.tracking.order_free import START, scan_at

from milepost.db.pool import retrying, tenant
from milepost.errors import Conflict
from milepost.parcels.stored import load
from milepost.tracking.events import Event, Observation

WHICH = st.integers(0, 1)
WHO = st.integers(0, 1)
STEP = st.sampled_from([step for step in scan_model.STATUS if step != "announced"])
HOURS = st.sampled_from((1, 2, 3, 26, 80, 300))
_serials = count(1)


@dataclass
class World:
    """One parcel: what truly happened to it so far, what was told, and what must be stored."""

    parcel_id: int
    number: str
    scans: list[tuple[scan_model.Scan, str]] = field(default_factory=list)
    sent: list[Telling] = field(default_factory=list)
    model: Model = field(default_factory=Model)
    numbers: dict[int, str] = field(default_factory=dict)


Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Parcels(RuleBasedStateMachine):
    """Up to two parcels of one account, and everything that is told about them."""

    def __init__(self, house: House, run: Run, wrong: list[str]) -> None:
        super().__init__()
        self.house, self.run, self.wrong = house, run, wrong
        self.worlds: list[World] = []
        self.clock = 60
        """Minutes since the announcement; each scan has an hour of its own."""

    # What happens ---------------------------------------------------------------------------------

    @initialize()
    def register(self) -> None:
        number = f"MODEL{next(_serials):08d}"
        self.worlds.append(World(self.run(self.house.parcel(number)), number))

    @precondition(lambda self: len(self.worlds) < 2)
    @rule()
    def register_another(self) -> None:
        self.register()

    @rule(which=WHICH)
    def register_again(self, which: int) -> None:
        with pytest.raises(Conflict):
            self.run(self.house.parcel(self._world(which).number))

    @rule(which=WHICH, journey=st.lists(st.tuples(STEP, HOURS), min_size=1, max_size=3))
    def is_scanned(self, which: int, journey: list[tuple[str, int]]) -> None:
        """Each so many hours after the one before; nobody is told yet."""
        for step, hours in journey:
            hour = self.clock // 60 + hours
            self.clock = (hour + 1) * 60
            self._happens(self._world(which), hour, step)

    @rule(which=WHICH, step=STEP, share=st.floats(0, 1))
    def is_scanned_and_told_late(self, which: int, step: str, share: float) -> None:
        """A scan between earlier ones, of which nobody knew."""
        world, hour = self._world(which), 1 + int(share * (self.clock // 60 - 1))
        passed = hour < self.clock // 60
        if passed and all(scan[1] // 60 != hour for scan, _ in world.scans):
            self._happens(world, hour, step)

    @rule(which=WHICH, place=st.integers(0, 20), minute=st.integers(0, 59))
    def is_corrected(self, which: int, place: int, minute: int) -> None:
        """The carrier changes the minute of a scan, to one it never told before."""
        world = self._world(which)
        if world.scans:
            (name, at), step = world.scans[place % len(world.scans)]
            changed = (name, at // 60 * 60 + minute)
            if not world.model.texts(changed):
                world.scans[place % len(world.scans)] = (changed, step)

    # Who tells it ---------------------------------------------------------------------------------

    @rule(which=WHICH, who=WHO, complete=st.booleans(), text=st.sampled_from("ab"))
    def is_asked_about(self, which: int, who: int, complete: bool, text: str) -> None:
        world = self._world(which)
        self._tell(world, (who, self._poll(world, complete, text)))

    @rule(which=WHICH, who=WHO, place=st.integers(0, 20), text=st.sampled_from("abc"))
    def is_pushed(self, which: int, who: int, place: int, text: str) -> None:
        world = self._world(which)
        self._tell(world, (who, self._push(world, place, text)))

    @rule(which=WHICH, who=WHO, place=st.integers(0, 50))
    def is_told_once_more(self, which: int, who: int, place: int) -> None:
        """The very same message again, however old."""
        world = self._world(which)
        if world.sent:
            self._tell(world, (who, world.sent[place % len(world.sent)]))

    @rule(which=WHICH, place=st.integers(0, 20), text=st.sampled_from("abc"), polls=st.booleans())
    def is_told_by_two_at_once(self, which: int, place: int, text: str, polls: bool) -> None:
        world = self._world(which)
        one = self._poll(world, True, text)
        other = self._poll(world, False, "a") if polls else self._push(world, place, text)
        self._tell(world, (0, one), (1, other))

    @rule(which=WHICH, who=WHO, complete=st.booleans(), after=st.sampled_from((0, 1, 3, 6)))
    def dies_while_it_records(self, which: int, who: int, complete: bool, after: int) -> None:
        """Whoever recorded is gone after so many milliseconds; another one does it again."""
        world = self._world(which)
        telling = self._poll(world, complete, "a")
        self.run(self._dying(world, who, telling, after / 1000))
        self._tell(world, (1 - who, telling))

    # What must hold -------------------------------------------------------------------------------

    @invariant()
    def is_what_the_model_says(self) -> None:
        for world in self.worlds:
            found = self.run(differences(self.house, world))
            self.wrong += found
            assert not found, found

    def _world(self, which: int) -> World:
        return self.worlds[which % len(self.worlds)]

    def _happens(self, world: World, hour: int, step: str) -> None:
        world.scans.append(((f"C{len(world.scans)}", hour * 60), step))

    def _poll(self, world: World, complete: bool, text: str) -> Telling:
        told = tuple((scan, step, f"{scan[0]} {text}") for scan, step in world.scans)
        return Telling("poll", self._now(), complete, told)

    def _push(self, world: World, place: int, text: str) -> Telling:
        told = tuple((scan, step, f"{scan[0]} {text}") for scan, step in world.scans)
        return Telling("push", self._now(), False, told[place % len(told) :][:1] if told else ())

    def _now(self) -> int:
        self.clock += 1
        return self.clock

    def _tell(self, world: World, *tellings: tuple[int, Telling]) -> None:
        async def at_once() -> None:
            await asyncio.gather(
                *(
                    self.house.record(self.house.recorders[who], world.parcel_id, said(telling))
                    for who, telling in tellings
                )
            )

        self.run(at_once())
        world.sent += [telling for _, telling in tellings]
        world.model.told.update(telling for _, telling in tellings)

    async def _dying(self, world: World, who: int, telling: Telling, after: float) -> None:
        recorder = self.house.recorders[who]
        task = asyncio.create_task(self.house.record(recorder, world.parcel_id, said(telling)))
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def said(telling: Telling) -> Observation:
    """A telling as a connector hands it on."""
    scans = tuple(
        replace(scan_at(minute, name, step), raw_text=text, position=place)
        for place, ((name, minute), step, text) in enumerate(
            sorted(telling.scans, key=lambda one: one[0][1])
        )
    )
    at = START + timedelta(minutes=telling.at)
    return Observation("sandbox", telling.source, at, scans, telling.complete)


async def differences(house: House, world: World) -> list[str]:
    """How the stored parcel differs from what the model makes of everything told."""
    found = await retrying(lambda: load(house.pool, house.account, [world.parcel_id]))
    stored = found[world.parcel_id]
    told = [(_scan_of(event), event) for event in stored.events if event.carrier_code]
    wrong, expected = [], world.model.scans()
    if sorted(scan for scan, _ in told) != expected:
        wrong.append(f"events {[scan for scan, _ in told]} instead of {expected}")
    if len({event.sequence for event in stored.events}) != len(expected) + 1:
        wrong.append(f"numbers {[event.sequence for event in stored.events]}")
    for scan, event in told:
        texts = {each.raw_text for each in (event.wording, *event.revisions)}
        if texts != world.model.texts(scan):
            wrong.append(f"{scan} is worded {texts}")
        if world.numbers.setdefault(event.sequence, scan[0]) != scan[0]:
            wrong.append(f"number {event.sequence} was {world.numbers[event.sequence]}")
    async with tenant(house.pool, house.account) as conn:
        row = await conn.fetchrow(
            "SELECT status, event_count, (SELECT array_agg(sequence ORDER BY sequence) FROM outbox "
            "o WHERE o.parcel_id = p.parcel_id) AS told FROM parcel p WHERE parcel_id = $1",
            world.parcel_id,
        )
    assert row is not None
    if row["status"] != world.model.status():
        wrong.append(f"status {row['status']} instead of {world.model.status()}")
    if row["told"] != list(range(1, row["event_count"] + 1)):
        wrong.append(f"{row['told']} in the outbox")
    return wrong


def _scan_of(event: Event) -> scan_model.Scan:
    passed = event.wording.moment.instant - START
    return event.scan_class, int(passed.total_seconds() // 60)
