"""The inbox of codes that no rule reads: an account's own, and the whole installation's.

An account sees what its own events hold, counted and shown from its own rows: gone when they are
erased, and nobody else's. A code may be a carrier's words, so even that one exists is not told to
accounts that never met it. What the installation counted (``unmapped_code``) is the operator's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from milepost.carriers.mappings import Mappings
from milepost.db.pool import Pool, retrying, tenant
from milepost.parcels.remapping import QUERIES
from milepost.parcels.unmapped import kept_code

MOST = 500
"""Codes in an answer."""
EXAMPLES = 3

State = Literal["open", "dismissed", "mapped"]
"""``dismissed`` by the operator; ``mapped``: a rule is there by now, and stored events may wait for
``milepost mapping apply``."""


@dataclass(frozen=True, slots=True)
class Example:
    """One event with the code, as the carrier told it."""

    parcel_id: int
    recorded_at: datetime
    raw_text: str


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A code of the carrier that tells it. ``events`` are those that were met."""

    carrier_code: str
    raw_code: str
    state: State
    events: int
    first_seen_at: datetime
    last_seen_at: datetime
    examples: tuple[Example, ...] = ()


class UnmappedInbox:
    """Looks into the inbox."""

    def __init__(self, pool: Pool, mappings: Mappings) -> None:
        self._pool = pool
        self._mappings = mappings

    async def of_account(
        self,
        account_id: int,
        carrier_codes: Sequence[str] | None = None,
        raw_code: str | None = None,
    ) -> list[Unmapped]:
        """What an account's events hold, by carrier and code; ``MOST`` at most."""
        which = {
            "account_id": account_id,
            "carrier_codes": None if carrier_codes is None else list(carrier_codes),
            "raw_code": raw_code,
            "most": MOST,
        }

        async def look() -> tuple[list[Any], dict[int, list[Example]]]:
            async with tenant(self._pool, account_id) as conn:
                rows = [row async for row in QUERIES.own_unmapped(conn, **which)]
                told: dict[int, list[Example]] = {}
                async for row in QUERIES.unmapped_examples(
                    conn,
                    account_id=account_id,
                    carrier_codes=[row["carrier_code"] for row in rows],
                    raw_codes=[row["raw_code"] for row in rows],
                    most=EXAMPLES,
                ):
                    one = Example(row["parcel_id"], row["recorded_at"], row["raw_text"])
                    told.setdefault(row["place"], []).append(one)
                return rows, told

        rows, told = await retrying(look)
        dismissed = await self._dismissed({row["carrier_code"] for row in rows})
        return _merged(
            [
                Unmapped(
                    self._mappings.asked_code(row["carrier_code"]),
                    row["raw_code"],
                    self._state(row, dismissed),
                    row["events"],
                    row["first_seen_at"],
                    row["last_seen_at"],
                    tuple(told.get(place, ())),
                )
                for place, row in enumerate(rows, start=1)
            ]
        )

    async def of_installation(self, carrier_codes: Sequence[str] | None = None) -> list[Unmapped]:
        """What all accounts together met, without examples: those are the accounts'."""
        rows = await self._counted(carrier_codes)
        dismissed = self._accepted(rows)
        return _merged(
            [
                Unmapped(
                    self._mappings.asked_code(row["carrier_code"]),
                    row["raw_code"],
                    self._state(row, dismissed),
                    row["seen"],
                    row["first_seen_at"],
                    row["last_seen_at"],
                )
                for row in rows
            ]
        )

    async def _dismissed(self, carrier_codes: set[str]) -> set[tuple[str, str]]:
        asked = {self._mappings.asked_code(code) for code in carrier_codes}
        return self._accepted(await self._counted(sorted(carrier_codes | asked)))

    def _accepted(self, rows: Sequence[Any]) -> set[tuple[str, str]]:
        return {
            (self._mappings.asked_code(row["carrier_code"]), row["raw_code"])
            for row in rows
            if row["accepted_at"] is not None
        }

    async def _counted(self, carrier_codes: Sequence[str] | None) -> list[Any]:
        codes = None if carrier_codes is None else list(carrier_codes)

        async def read() -> list[Any]:
            return [row async for row in QUERIES.all_unmapped(self._pool, carrier_codes=codes)]

        return await retrying(read)

    def _state(self, row: Any, dismissed: set[tuple[str, str]]) -> State:
        carrier_code, raw_code = row["carrier_code"], row["raw_code"]
        if self._mappings.maps(carrier_code, raw_code):
            return "mapped"
        asked = self._mappings.asked_code(carrier_code)
        return "dismissed" if (asked, kept_code(raw_code)) in dismissed else "open"


def _merged(told: Sequence[Unmapped]) -> list[Unmapped]:
    """One of each code: those of several codes that a carrier answers for are its own."""
    found: dict[tuple[str, str], Unmapped] = {}
    for one in told:
        key = one.carrier_code, one.raw_code
        known = found.get(key)
        if known is None:
            found[key] = one
            continue
        examples = sorted((*known.examples, *one.examples), key=lambda each: each.recorded_at)
        found[key] = replace(
            known,
            events=known.events + one.events,
            first_seen_at=min(known.first_seen_at, one.first_seen_at),
            last_seen_at=max(known.last_seen_at, one.last_seen_at),
            examples=tuple(reversed(examples))[:EXAMPLES],
        )
    return [found[key] for key in sorted(found)]
