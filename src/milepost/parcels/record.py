"""The one way to write an event: ``record`` turns an observation into rows, in one statement."""

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from milepost import failpoints, metrics
from milepost.carriers.mappings import Mappings
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, retrying
from milepost.errors import DatabaseUnavailable
from milepost.parcels.apply import Applied, News, Rules, apply
from milepost.parcels.carrier_hours import CarrierHours
from milepost.parcels.lane_history import LaneHistories
from milepost.parcels.record_columns import Columns, columns
from milepost.parcels.remap import remapped
from milepost.parcels.render import Renderer
from milepost.parcels.stored import StoredParcel, countries, load
from milepost.parcels.unmapped import UnmappedCodes
from milepost.tracking.calculated import Thresholds
from milepost.tracking.events import Event, Observation
from milepost.tracking.imported import OF_THE_CARRIER
from milepost.tracking.journey import Journey
from milepost.tracking.rereading import Read
from milepost.tracking.vocabulary import EventType

ATTEMPTS = 5
PACKING = 6
"""zlib's level for the carriers' answers: a higher one costs time and gains little."""


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """When the schedule's row is due next: ``due_in`` seconds from now, None for never."""

    urgency: int
    due_in: float | None
    misses: int
    answer_hash: str
    stop_reason: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a record did; ``fenced``: another worker holds the parcel, nothing was written.

    ``new_events`` are those that were told, not what time alone has to say.
    """

    journey: Journey | None
    new_events: int
    fenced: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What is written: the parcel after it with its journey, what it was decided on, and when it is
    asked about next."""

    after: Applied
    journey: Journey
    before: StoredParcel
    watch: WatchPlan | None


Planner = Callable[[Journey, StoredParcel], WatchPlan | None]
Decide = Callable[[StoredParcel, Rules], Applied | None]


class Recorder:
    """Writes observations; what changed and the finished answers go in together."""

    def __init__(
        self,
        pool: Pool,
        renderer: Renderer,
        *,
        late: Thresholds | None = None,
        histories: LaneHistories | None = None,
        raw_bytes: int = 0,
        mappings: Mappings | None = None,
    ) -> None:
        """``late`` are the settings' thresholds, ``histories`` what lanes teach beside them;
        ``raw_bytes`` is how much of a carrier's answer is kept at most, packed; 0: none.
        ``mappings`` are the operator's, for what is told from now on."""
        self._pool = pool
        self._renderer = renderer
        self._late = late or Thresholds()
        self._histories = histories
        self._raw_bytes = raw_bytes
        self._mappings = mappings or Mappings(Catalogue({}))
        self.unmapped = UnmappedCodes(self._mappings.asked_code)
        self.hours = CarrierHours()

    async def record(
        self,
        account_id: int,
        parcel_id: int,
        observation: Observation,
        now: datetime,
        plan: Planner,
        *,
        news: News | None = None,
        fence: int | None = None,
        quiet: bool = False,
    ) -> Recorded:
        """Merge ``observation`` into a parcel and store the result with the next plan.

        ``quiet``: nobody is told of it, as they were told elsewhere.

        Reads without a lock and writes only where the revision (and the fence) still stand; read
        again up to five times. Raises DatabaseUnavailable when that many writers were faster.
        """
        news = news or News()
        kept = await self._keep(
            account_id,
            parcel_id,
            now,
            self.merging(observation, news, now),
            plan,
            _RECORD_QUIETLY if quiet else _RECORD,
            fence,
            self._packed(news),
        )
        if kept is None:
            return Recorded(None, 0, fenced=True)
        return self.recorded(observation, kept, now)

    def merging(self, observation: Observation, news: News, now: datetime) -> Decide:
        """What ``observation`` makes of a parcel, by the operator's mappings."""
        told = self._mappings.over(observation)
        return lambda stored, rules: apply(stored, told, news, now, rules)

    def recorded(self, observation: Observation, kept: Kept, now: datetime) -> Recorded:
        """Count what was written, and say what it was."""
        new, parcel = kept.after.changes.new, kept.before
        self._count(observation, new)
        if observation.source in OF_THE_CARRIER:
            # A merchant's word is none of the carrier's, and its door's process keeps no counts.
            self.unmapped.note(new)
            self.hours.recorded(parcel.account_id, parcel.carrier_code, parcel.created_at, now, new)
        facts = [event for event in new if event.event_type is not EventType.CALCULATED]
        return Recorded(kept.journey, len(facts))

    async def reread(
        self,
        account_id: int,
        parcel_id: int,
        read: Read,
        now: datetime,
        plan: Planner,
        *,
        tell: bool = False,
    ) -> Kept | None:
        """Read a parcel's stored events once more and keep what comes of it; None for no change.

        ``tell``: who is told of events is told the new status, else nobody is told of anything. A
        ``plan`` takes the place of the schedule's, and an answer on its way no longer counts.
        Raises what ``record`` raises.
        """
        return await self._keep(
            account_id,
            parcel_id,
            now,
            lambda stored, rules: remapped(stored, read, now, rules, tell=tell),
            plan,
            _REREAD if tell else _REREAD_QUIETLY,
        )

    async def foresee(self, stored: StoredParcel, read: Read, now: datetime) -> Applied | None:
        """What ``reread`` would make of a parcel; nothing is written."""
        return remapped(stored, read, now, await self._rules(stored), tell=False)

    async def _keep(
        self,
        account_id: int,
        parcel_id: int,
        now: datetime,
        decide: Decide,
        plan: Planner,
        statement: str,
        fence: int | None = None,
        raw: tuple[bytes, str] | None = None,
    ) -> Kept | None:
        """Decide and write; None where there is nothing to write or no right to."""
        for _ in range(ATTEMPTS):
            found = await retrying(lambda: load(self._pool, account_id, [parcel_id]))
            kept = await self.decided(found.get(parcel_id), decide, plan, now)
            if kept is None:
                return None
            if await self._write(statement, kept, now, fence, raw):
                return kept
            if fence is not None and not await self._holds(account_id, parcel_id, fence):
                return None
        raise DatabaseUnavailable(f"parcel {parcel_id} changes faster than it can be recorded")

    async def decided(
        self, stored: StoredParcel | None, decide: Decide, plan: Planner, now: datetime
    ) -> Kept | None:
        """What is to be written of a parcel, as it was read; None for nothing."""
        after = None if stored is None else decide(stored, await self._rules(stored))
        if stored is None or after is None:
            return None
        journey = self._renderer.journey(after.parcel)
        watch = plan(journey, after.parcel)
        parcel = _stopped(after.parcel, watch, now)
        return Kept(dataclasses.replace(after, parcel=parcel), journey, stored, watch)

    async def columns(self, decided: Sequence[Kept]) -> list[Columns]:
        """What was decided of an account's parcels, as it is written, with the finished answers."""
        lacking: dict[str, bool] = {}
        found = []
        for kept in decided:
            parcel = kept.after.parcel
            code = parcel.carrier_code
            if code not in lacking:
                # That there is no login is never remembered, and costs two questions each time.
                lacking[code] = await self._renderer.lacks_credential(parcel.account_id, code)
            snapshot = await self._renderer.snapshot(
                parcel, kept.journey, credential_missing=lacking[code]
            )
            found.append(columns(kept, snapshot))
        return found

    async def _rules(self, stored: StoredParcel) -> Rules:
        lane = None
        if self._histories is not None:
            lane = await self._histories.of(
                stored.account_id, stored.carrier_code, *countries(stored)
            )
        return Rules(self._renderer.early, self._late, lane)

    def _count(self, observation: Observation, new: Sequence[Event]) -> None:
        metrics.records.labels(observation.source).inc()
        for event in new:
            metrics.events.labels(event.event_type.value).inc()

    async def _write(
        self,
        statement: str,
        kept: Kept,
        now: datetime,
        fence: int | None,
        raw: tuple[bytes, str] | None,
    ) -> bool:
        parcel, (given,) = kept.before, await self.columns([kept])
        failpoints.reach("poll.before_commit")
        written = await retrying(
            lambda: self._pool.fetchval(
                statement,
                parcel.account_id,
                parcel.parcel_id,
                parcel.revision,
                fence,
                now,
                *given.in_order(),
                *(raw or (None, None)),
            )
        )
        failpoints.reach("poll.after_commit")
        return bool(written)

    def _packed(self, news: News) -> tuple[bytes, str] | None:
        """The carrier's answer as it is kept; one that is too long even so is not."""
        if not self._raw_bytes or not news.raw:
            return None
        packed = zlib.compress(news.raw, PACKING)
        return (packed, news.raw_type) if len(packed) <= self._raw_bytes else None

    async def _holds(self, account_id: int, parcel_id: int, fence: int) -> bool:
        return bool(
            await retrying(
                lambda: self._pool.fetchval(
                    "SELECT holds_fence($1, $2, $3)", account_id, parcel_id, fence
                )
            )
        )


def _stopped(parcel: StoredParcel, watch: WatchPlan | None, now: datetime) -> StoredParcel:
    if watch is None:
        return parcel
    stopped_at = now if watch.stop_reason else None
    updated_at = parcel.updated_at if watch.stop_reason == parcel.stop_reason else now
    return dataclasses.replace(
        parcel, stopped_at=stopped_at, stop_reason=watch.stop_reason, updated_at=updated_at
    )


_ARGUMENTS = "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
_RECORD = f"SELECT record_observation{_ARGUMENTS}"
_RECORD_QUIETLY = f"SELECT record_quietly{_ARGUMENTS}"
_REREAD = f"SELECT record_rereading{_ARGUMENTS[:-1]}, false)"
_REREAD_QUIETLY = f"SELECT record_rereading{_ARGUMENTS[:-1]}, true)"
