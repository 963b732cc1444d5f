"""An account was told something about a number, by a push, a feed or a file: the one way in.

Whoever reads such a thing ends with numbers and what was said about each (``Found``, as a carrier's
answer is read). From here on it goes the way of an answer: an Observation, and ``record``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from milepost import metrics
from milepost.carriers.connector import Found
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, retrying, tenant
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
    UNKNOWN_NUMBER = "unknown_number"  # no current parcel of the account: nothing was written


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict, the parcels it was told of, and how many events were new."""

    verdict: Verdict
    parcels: tuple[int, ...] = ()
    new_events: int = 0


class Teller:
    """Tells parcels what others than a poll say. One per process, for any account."""

    def __init__(self, pool: Pool, catalogue: Catalogue, recorder: Recorder) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._recorder = recorder

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
        written: list[int] = []
        new_events = 0
        for parcel_id, code in await self.holders(account_id, carrier_code, number):
            observation = Observation(code, source, observed_at, found.scans, found.complete)
            recorded = await self._recorder.record(
                account_id,
                parcel_id,
                observation,
                datetime.now(UTC),
                lambda _journey, _parcel: None,
                news=news_of(found),
            )
            if recorded.journey is None:
                continue  # erased meanwhile
            written.append(parcel_id)
            new_events += recorded.new_events
        verdict = _verdict(written, new_events)
        metrics.told.labels(source, verdict.value).inc()
        return Told(verdict, tuple(written), new_events)

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


def _verdict(written: Sequence[int], new_events: int) -> Verdict:
    if not written:
        return Verdict.UNKNOWN_NUMBER
    return Verdict.NEWS if new_events else Verdict.KNOWN
