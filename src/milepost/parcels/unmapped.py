"""Codes that no rule of their carrier maps: counted in memory, kept once a minute."""

from collections import Counter
from collections.abc import Callable, Iterable

from milepost import metrics
from milepost.db.pool import Pool, retrying
from milepost.tracking.events import Event
from milepost.tracking.vocabulary import UNREAD

LONGEST_CODE = 80
MOST_CODES = 500
"""Kept per carrier; one that has no codes but texts must not fill a table with them."""

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


class UnmappedCodes:
    """What one process came across. Lost with the process; the events themselves are not."""

    def __init__(self, asked_code: Callable[[str], str] = str) -> None:
        """``asked_code`` gives whose codes a carrier's events hold: codes of an alias are the
        answering carrier's."""
        self._asked_code = asked_code
        self._seen: Counter[tuple[str, str]] = Counter()

    def note(self, events: Iterable[Event]) -> None:
        """Count those of new events that nothing was made of."""
        for event in events:
            if event.carrier_code and event.wording.reading == UNREAD:
                metrics.unmapped_events.labels(event.carrier_code).inc()
                code = event.wording.raw_code[:LONGEST_CODE]
                asked = self._asked_code(event.carrier_code)
                if len(self._seen) < MOST_CODES or (asked, code) in self._seen:
                    self._seen[asked, code] += 1

    async def keep(self, pool: Pool) -> None:
        """Add to what the database has; what could not be kept is tried again."""
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
