"""An account was told something about a number, by a push, a feed or a file: the one way in.

Whoever reads such a thing ends with numbers and what was said about each (``Found``, as a carrier's
answer is read). From here on it goes the way of an answer: an Observation, and ``record``. Whom a
carrier pushes to need not ask it as often, and is to ask at once where it says only that something
has changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

from milepost import metrics
from milepost.carriers.connector import Found
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, retrying, tenant
from milepost.intake.statements import INTAKE
from milepost.monitoring.plan import Planning
from milepost.parcels.apply import news_of
from milepost.parcels.find import QUERIES
from milepost.parcels.record import Recorder
from milepost.tracking.events import Observation
from milepost.tracking.parcel import number_key

Source = Literal["push", "file"]


class Verdict(StrEnum):
    """What became of it."""

    NEWS = "news"  # at least one event that nobody had told before
    KNOWN = "known"  # the parcel is ours, and no event was new
    ASKED = "asked"  # it was only said that something changed: the carrier is asked
    UNKNOWN_NUMBER = "unknown_number"  # no current parcel of the account: nothing was written


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict, the parcels it was told of, and how many events were new."""

    verdict: Verdict
    parcels: tuple[int, ...] = ()
    new_events: int = 0


class Teller:
    """Tells parcels what others than a poll say. One per process, for any account."""

    def __init__(
        self, pool: Pool, catalogue: Catalogue, recorder: Recorder, planning: Planning
    ) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._recorder = recorder
        self._planning = planning

    async def tell(
        self,
        account_id: int,
        carrier_code: str | None,
        number: str,
        found: Found,
        source: Source,
        observed_at: datetime,
    ) -> Told:
        """Record what was said about ``number``; telling it again adds no event.

        ``carrier_code`` is who said it: parcels of every code that this carrier answers for count
        as its own (``Catalogue.codes_asked_as``), and the events are kept under the parcel's code,
        as a poll's are. None: the number alone decides. Only the number that a parcel is known by
        now counts (``number_key``); numbers it had before and merchants' references do not.
        ``observed_at`` is when it was said to us (UTC), however late it is told here.

        Raises DatabaseUnavailable; nothing of a parcel is half written then, so tell it again.
        """
        holders = await self.holders(account_id, carrier_code, number)
        if source == "push" and not found.scans and found.estimate is None:
            told = await self._ask(account_id, holders)
        else:
            told = await self._record(account_id, holders, found, source, observed_at)
        metrics.told.labels(source, told.verdict.value).inc()
        return told

    async def _record(
        self,
        account_id: int,
        holders: Sequence[tuple[int, str]],
        found: Found,
        source: Source,
        observed_at: datetime,
    ) -> Told:
        written: list[int] = []
        new_events = 0
        for parcel_id, code in holders:
            now = datetime.now(UTC)
            recorded = await self._recorder.record(
                account_id,
                parcel_id,
                Observation(code, source, observed_at, found.scans, found.complete),
                now,
                lambda _journey, _parcel: None,
                news=news_of(found),
            )
            if recorded.journey is None:
                continue  # erased meanwhile
            written.append(parcel_id)
            new_events += recorded.new_events
            carrier = self._catalogue.get(code)
            if source == "push" and carrier is not None and carrier.can_be_asked:
                plan = self._planning.after_told(carrier.manifest, recorded.journey, now)
                await self._plan(account_id, parcel_id, plan.urgency, plan.due_at - now, ask=False)
        if not written:
            return Told(Verdict.UNKNOWN_NUMBER)
        verdict = Verdict.NEWS if new_events else Verdict.KNOWN
        return Told(verdict, tuple(written), new_events)

    async def _ask(self, account_id: int, holders: Sequence[tuple[int, str]]) -> Told:
        for parcel_id, _ in holders:
            await self._plan(account_id, parcel_id, None, timedelta(), ask=True)
        verdict = Verdict.ASKED if holders else Verdict.UNKNOWN_NUMBER
        return Told(verdict, tuple(parcel_id for parcel_id, _ in holders))

    async def _plan(
        self, account_id: int, parcel_id: int, urgency: int | None, wait: timedelta, *, ask: bool
    ) -> None:
        await retrying(
            lambda: INTAKE.plan_told(
                self._pool,
                account_id=account_id,
                parcel_id=parcel_id,
                urgency=urgency,
                due_in=max(0.0, wait.total_seconds()),
                ask=ask,
            )
        )

    async def holders(
        self, account_id: int, carrier_code: str | None, number: str
    ) -> list[tuple[int, str]]:
        """The current parcels that ``tell`` would tell, as (parcel_id, carrier_code)."""
        key = number_key(number)
        codes = None if carrier_code is None else self._codes(carrier_code)
        if not key:
            return []

        async def look_up() -> list[tuple[int, str]]:
            async with tenant(self._pool, account_id) as conn:
                rows = QUERIES.holders_of_number(
                    conn, account_id=account_id, number_key=key, carrier_codes=codes
                )
                return [(row["parcel_id"], row["carrier_code"]) async for row in rows]

        return await retrying(look_up)

    def _codes(self, carrier_code: str) -> list[str]:
        asked = self._catalogue.asked_code(carrier_code)
        return sorted({carrier_code, *self._catalogue.codes_asked_as(asked)})
