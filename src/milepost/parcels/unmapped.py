"""Codes that no rule of their carrier maps: counted in memory, kept once a minute."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import structlog

from milepost import metrics
from milepost.db.pool import Pool, retrying
from milepost.errors import DatabaseUnavailable
from milepost.tracking.events import Event
from milepost.tracking.vocabulary import UNREAD

_CODE = re.compile(r"text-[0-9a-f]{12}|(?!.*\d{8})[\w./+:-]{0,64}", re.ASCII)
"""What carriers' codes are made of; eight digits in a row may be somebody's telephone."""
MOST_CODES = 500
"""Kept per carrier; one that has no codes but texts must not fill a table with them."""
MOST_TOLD = 5_000
"""Told of by one process, of all carriers."""

# One row after another: two processes that keep the same codes at once must not wait in a circle.
_KEEP = """
INSERT INTO unmapped_code (carrier_code, raw_code, seen)
SELECT t.carrier_code, t.raw_code, t.seen
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS t (carrier_code, raw_code, seen)
WHERE EXISTS (SELECT FROM unmapped_code u
              WHERE u.carrier_code = t.carrier_code AND u.raw_code = t.raw_code)
   OR (SELECT count(*) FROM unmapped_code u WHERE u.carrier_code = t.carrier_code) < $4
ORDER BY t.carrier_code, t.raw_code
ON CONFLICT (carrier_code, raw_code) DO UPDATE
SET seen = unmapped_code.seen + excluded.seen, last_seen_at = now()
"""
_ACCEPTED = "SELECT carrier_code, raw_code FROM unmapped_code WHERE accepted_at IS NOT NULL"
_ACCEPT = """
UPDATE unmapped_code u SET accepted_at = now()
FROM unnest($1::text[], $2::text[]) AS t (carrier_code, raw_code)
WHERE u.carrier_code = t.carrier_code AND u.raw_code = t.raw_code
RETURNING u.carrier_code, u.raw_code
"""

log = structlog.get_logger(__name__)


def kept_code(raw_code: str) -> str:
    """A code as it is kept for the whole installation, and logged.

    Where a carrier's words stand in a code's place they may name somebody, and that table outlives
    every parcel: a digest of them is kept.
    """
    if _CODE.fullmatch(raw_code):
        return raw_code
    words = raw_code.encode("utf-8", "replace")
    return f"text-{hashlib.blake2b(words, digest_size=6).hexdigest()}"


class UnmappedCodes:
    """What one process came across. Lost with the process; the events themselves are not."""

    def __init__(self, asked_code: Callable[[str], str] = str) -> None:
        """``asked_code`` gives whose codes a carrier's events hold: codes of an alias are the
        answering carrier's."""
        self._asked_code = asked_code
        self._seen: Counter[tuple[str, str]] = Counter()
        self._told: set[tuple[str, str]] = set()
        self._accepted: set[tuple[str, str]] = set()
        self._fresh = False

    def note(self, events: Iterable[Event]) -> None:
        """Count those of new events that nothing was made of."""
        for event in events:
            if event.carrier_code and event.wording.reading == UNREAD:
                metrics.unmapped_events.labels(event.carrier_code).inc()
                code = kept_code(event.wording.raw_code)
                asked = self._asked_code(event.carrier_code)
                self._tell(asked, code)
                if len(self._seen) < MOST_CODES or (asked, code) in self._seen:
                    self._seen[asked, code] += 1

    def _tell(self, carrier_code: str, code: str) -> None:
        """Say so the first time, and have it kept at once; accepted codes are nobody's alarm."""
        if (carrier_code, code) in self._accepted:
            return
        metrics.carrier_drift.labels(carrier_code, "code").inc()
        if (carrier_code, code) not in self._told and len(self._told) < MOST_TOLD:
            self._told.add((carrier_code, code))
            log.warning("carrier drift", carrier_code=carrier_code, reason=f"unknown code {code}")
            self._fresh = True

    async def keep_fresh(self, pool: Pool) -> None:
        """Keep what was met for the first time; a database that is away costs nothing but time."""
        if self._fresh:
            self._fresh = False
            with suppress(DatabaseUnavailable):
                await self._keep(pool)

    async def keep(self, pool: Pool) -> None:
        """Add to what the database has, and heed what the operator accepted meanwhile; what could
        not be kept is tried again."""
        await self._keep(pool)
        rows = await retrying(lambda: pool.fetch(_ACCEPTED))
        self._accepted = {(row["carrier_code"], row["raw_code"]) for row in rows}

    async def _keep(self, pool: Pool) -> None:
        seen, self._seen = self._seen, Counter()
        if not seen:
            return
        carriers, codes = zip(*seen, strict=True)
        counts = list(seen.values())
        try:
            await retrying(
                lambda: pool.execute(_KEEP, list(carriers), list(codes), counts, MOST_CODES)
            )
        except BaseException:
            self._seen.update(seen)
            raise


async def accept_codes(pool: Pool, codes: Sequence[tuple[str, str]]) -> list[str]:
    """Take these (carrier, code) for known though no rule maps them; the codes that nobody met are
    given back. As the admin role."""
    carriers = [carrier_code for carrier_code, _ in codes]
    kept = [kept_code(raw_code) for _, raw_code in codes]
    rows = await retrying(lambda: pool.fetch(_ACCEPT, carriers, kept))
    met = {(row["carrier_code"], row["raw_code"]) for row in rows}
    return [
        raw_code
        for carrier_code, raw_code in codes
        if (carrier_code, kept_code(raw_code)) not in met
    ]
