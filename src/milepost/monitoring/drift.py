"""What carriers' answers and pushes hold that the catalogue does not know: told at once, kept until
accepted.

Names of fields and languages only, never what stands in a field. Codes that no rule maps are of the
same kind and have their own inbox (``parcels.unmapped``); here they are told beside the others.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import structlog

from milepost import metrics
from milepost.carriers.answer_shape import STEP, Kind, Shape, Unknown
from milepost.carriers.looked_at import looking
from milepost.carriers.registry import Carrier
from milepost.carriers.shapes import PUSHED, Looking, shape_of
from milepost.db.pool import Pool, all_rows, load_queries, retrying
from milepost.errors import DatabaseUnavailable
from milepost.parcels.unmapped import accept_codes

QUERIES: Any = load_queries(Path(__file__).with_name("drift.sql"))
MOST = 200
"""Kept per carrier, of answers and of pushes; what is beyond is another form altogether. Who may
push can't use up the room of answers."""
LONGEST = 500

log = structlog.get_logger(__name__)

# One row after another: two processes that keep the same at once must not wait in a circle.
_KEEP = """
INSERT INTO carrier_drift (carrier_code, kind, what, seen)
SELECT t.carrier_code, t.kind, t.what, t.seen
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS t (carrier_code, kind, what, seen)
WHERE EXISTS (SELECT FROM carrier_drift d WHERE d.carrier_code = t.carrier_code
                AND d.kind = t.kind AND d.what = t.what)
   OR (SELECT count(*) FROM carrier_drift d WHERE d.carrier_code = t.carrier_code
       AND starts_with(d.what, 'push/') = starts_with(t.what, 'push/')) < $5
ORDER BY t.carrier_code, t.kind, t.what
ON CONFLICT (carrier_code, kind, what) DO UPDATE
SET seen = carrier_drift.seen + excluded.seen, last_seen_at = now()
"""
_ACCEPT = """
UPDATE carrier_drift SET accepted_at = now() WHERE carrier_code = $1 AND kind = $2 AND what = $3
"""
Maps = Callable[[str, str], bool]
"""Whether a rule is for a carrier's code (``Mappings.maps``)."""


class Drifts:
    """What one process came across. The first of a kind is kept at once, others are counted and
    kept with the next ``keep``."""

    def __init__(self, pool: Pool) -> None:
        """``pool`` has the worker's role."""
        self._pool = pool
        self._shapes: dict[str, Shape | None] = {}
        self._told: set[tuple[str, Unknown]] = set()
        self._seen: Counter[tuple[str, Unknown]] = Counter()

    @asynccontextmanager
    async def watching(self, carrier: Carrier, *, pushed: bool = False) -> AsyncIterator[None]:
        """Look at every answer of ``carrier`` that is taken apart within, or at what it pushed."""
        shape = await self._shape_of(carrier)
        looks = None if shape is None else Looking(shape, pushed=pushed)
        try:
            with looking(looks):
                yield
        finally:
            if looks is not None and looks.unknown:
                await self.note(carrier.manifest.code, looks.unknown)

    async def _shape_of(self, carrier: Carrier) -> Shape | None:
        code = carrier.manifest.code
        if code not in self._shapes:
            shape = shape_of(carrier)
            if shape is not None:
                _accept(shape, await _accepted(self._pool, [code]))
            self._shapes[code] = shape
        return self._shapes[code]

    async def note(self, carrier_code: str, unknown: Mapping[Unknown, int]) -> None:
        """Tell and count what an answer held; a database that is away costs nothing but time."""
        fresh = False
        for one, count in unknown.items():
            one = Unknown(one.kind, one.what[:LONGEST])
            metrics.carrier_drift.labels(carrier_code, one.kind).inc(count)
            if (carrier_code, one) not in self._told:
                if self._told_of(carrier_code, pushed=is_pushed(one)) >= MOST:
                    continue
                self._told.add((carrier_code, one))
                log.warning("carrier drift", carrier_code=carrier_code, reason=_words(one))
                fresh = True
            self._seen[carrier_code, one] += count
        if fresh:
            try:
                await self._keep()
            except DatabaseUnavailable:
                log.warning("carrier drift could not be kept", carrier_code=carrier_code)

    def _told_of(self, carrier_code: str, *, pushed: bool) -> int:
        return sum(code == carrier_code and is_pushed(one) == pushed for code, one in self._told)

    async def keep(self) -> None:
        """Add what was counted, and heed what the operator accepted meanwhile."""
        await self._keep()
        known = [code for code, shape in self._shapes.items() if shape is not None]
        for row in await _accepted(self._pool, known) if known else ():
            shape = self._shapes[row["carrier_code"]]
            if shape is not None:
                _accept(shape, [row])

    async def _keep(self) -> None:
        seen, self._seen = self._seen, Counter()
        if not seen:
            return
        codes = [code for code, _ in seen]
        kinds, whats = [one.kind for _, one in seen], [one.what for _, one in seen]
        try:
            await retrying(
                lambda: self._pool.execute(_KEEP, codes, kinds, whats, list(seen.values()), MOST)
            )
        except BaseException:
            self._seen.update(seen)
            raise


@dataclass(frozen=True, slots=True)
class Drift:
    """Something unknown: a ``field`` or ``language`` nobody knows, a field that is ``missing``, or
    a ``code`` that no rule maps. ``seen`` counts answers, of a code events."""

    carrier_code: str
    kind: str
    what: str
    seen: int
    first_seen_at: datetime
    last_seen_at: datetime
    accepted_at: datetime | None


async def drift_of(pool: Pool, carrier: Carrier, maps: Maps | None) -> list[Drift]:
    """What is not accepted and still unknown, the latest first. ``maps`` tells whether a rule is
    for a code by now; None leaves codes out, which may be words about somebody's parcel, and what
    stands in pushes: who has an address chooses the words."""
    codes = _codes(carrier)
    rows = await all_rows(lambda: QUERIES.drift(pool, carrier_codes=codes))
    shape = shape_of(carrier.asked)

    def is_known(one: Drift) -> bool:
        if maps is None and is_pushed(one):
            return True
        if one.kind == "code":
            return maps is None or maps(one.carrier_code, one.what)
        return shape is None or shape.knows(Unknown(cast(Kind, one.kind), one.what))

    found = [Drift(**row) for row in rows]
    return [one for one in found if one.accepted_at is None and not is_known(one)]


async def accept_drift(pool: Pool, carrier: Carrier, maps: Maps, only: Collection[str] = ()) -> int:
    """Take what is unknown for known from now on (``only`` these, where any are named); how much it
    was. As the admin role; workers heed it within a minute."""
    found = await drift_of(pool, carrier, maps)
    open_now = [one for one in found if not only or one.what in only]
    codes = [one for one in open_now if one.kind == "code"]
    await accept_codes(pool, [(one.carrier_code, one.what) for one in codes])
    fields = {(one.carrier_code, one.kind, one.what) for one in open_now if one.kind != "code"}
    await retrying(lambda: pool.executemany(_ACCEPT, sorted(fields)))
    return len(open_now)


def is_pushed(one: Unknown | Drift) -> bool:
    """Whether it stood in a push, or in an entry of a feed of changes."""
    return one.kind == "field" and one.what.startswith(PUSHED + STEP)


def _codes(carrier: Carrier) -> list[str]:
    return sorted({carrier.manifest.code, carrier.asked.manifest.code})


async def _accepted(pool: Pool, carrier_codes: Sequence[str]) -> list[Any]:
    return await all_rows(lambda: QUERIES.accepted_drift(pool, carrier_codes=list(carrier_codes)))


def _accept(shape: Shape, rows: Sequence[Any]) -> None:
    for row in rows:
        shape.accept(Unknown(cast(Kind, row["kind"]), row["what"]))


def _words(unknown: Unknown) -> str:
    match unknown.kind:
        case "field":
            return f"unknown field {unknown.what}"
        case "missing":
            return f"missing field {unknown.what}"
    return f"unknown language {unknown.what}"
