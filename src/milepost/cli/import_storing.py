"""What becomes of the rows of an import: registered, or in a rehearsal only looked up."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from milepost.cli.import_sheets import Read
from milepost.cli.parcels import Desk
from milepost.db.pool import retrying
from milepost.errors import Conflict, MilepostError
from milepost.intake.patience import patiently
from milepost.intake.verdicts import Verdict
from milepost.movein.history import Past
from milepost.parcels.apply import News
from milepost.parcels.draft import Drafted
from milepost.parcels.register import FIELDS, TAKEN, Moved, Registered, number_holders
from milepost.parcels.stored import StoredParcel, load
from milepost.tracking.imported import is_imported
from milepost.tracking.parcel import number_key

RECORDED_AT_ONCE = 4
"""Pasts that are written side by side."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A row that is to be registered."""

    line: int
    row: int
    read: Read


class Storing(Protocol):
    """Takes rows chunk by chunk: what is prepared of one while the one before it is stored."""

    async def prepare(self, asked: Sequence[Asked]) -> list[Drafted]:
        """What can be done beforehand."""

    async def store(self, asked: Sequence[Asked], drafts: Sequence[Drafted]) -> list[Verdict]:
        """What became of each."""


class Registering:
    """Registers rows; those of another tool with their past, ``quiet`` or told to everybody."""

    def __init__(self, desk: Desk, tool: str = "", *, quiet: bool = False) -> None:
        self._desk = desk
        self._tool = tool
        self._quiet = quiet

    async def prepare(self, asked: Sequence[Asked]) -> list[Drafted]:
        """The rows as they will be stored."""
        desk, registrar = self._desk, self._desk.core.registrar

        async def work() -> list[Drafted]:
            readies = [
                await registrar.prepare(desk.account_id, one.read.registration) for one in asked
            ]
            return registrar.draft(desk.account_id, readies)

        return await patiently(work)

    async def store(self, asked: Sequence[Asked], drafts: Sequence[Drafted]) -> list[Verdict]:
        """Register them all and say what became of each.

        After a failure in the middle some may be there already: those are then told as existing.
        """
        registrar, moved = self._desk.core.registrar, self._moved(asked)
        answers = await patiently(
            lambda: registrar.store_drafts(self._desk.account_id, drafts, moved=moved)
        )
        notes = await self._record_pasts(asked, answers) if self._tool else [""] * len(asked)
        return [
            _verdict(one, answer, note)
            for one, answer, note in zip(asked, answers, notes, strict=True)
        ]

    def _moved(self, asked: Sequence[Asked]) -> Moved | None:
        if not self._tool:
            return None
        over = {place for place, one in enumerate(asked) if one.read.past and one.read.past.is_over}
        return Moved(self._quiet, frozenset(over))

    async def _record_pasts(
        self, asked: Sequence[Asked], answers: Sequence[Registered | Conflict]
    ) -> list[str]:
        """Record what was told of each parcel, of those that exist too: an import that was killed
        may have registered them and no more. What there is to say beside, row by row."""
        core, account_id = self._desk.core, self._desk.account_id
        there = [one.parcel_id for one in answers if isinstance(one, Conflict) and one.parcel_id]
        known: Mapping[int, StoredParcel] = {}
        if there:
            known = await patiently(lambda: retrying(lambda: load(core.pool, account_id, there)))
        turns = asyncio.Semaphore(RECORDED_AT_ONCE)

        async def record(one: Asked, answer: Registered | Conflict) -> str:
            past, parcel_id = one.read.past, answer.parcel_id
            if past is None or parcel_id is None or not past.observation.scans:
                return ""
            if isinstance(answer, Conflict) and answer.field != FIELDS["tracking_number"]:
                return f"its source_id is another number's, of parcel {parcel_id}"
            before = known.get(parcel_id)
            if other := _told_by(before, self._tool):
                return f"its history was told by {other} already and is left as it is"
            async with turns:
                await patiently(
                    lambda: core.recorder.record(
                        account_id,
                        parcel_id,
                        past.observation,
                        datetime.now(UTC),
                        lambda *_: None,
                        news=_beside(past, before),
                        quiet=self._quiet,
                    )
                )
            return ""

        return await asyncio.gather(*map(record, asked, answers))


def _beside(past: Past, before: StoredParcel | None) -> News:
    """Who signed, where nobody has said so yet: the carrier has the last word on that too."""
    is_known = before is not None and before.extra.get("signed_by")
    return News() if is_known or not past.signed_by else News(extra={"signed_by": past.signed_by})


def _told_by(parcel: StoredParcel | None, tool: str) -> str:
    """Another tool that told a past of the parcel, ``""`` if none did."""
    for event in parcel.events if parcel is not None else ():
        for told in (event, *event.replaced):
            other = told.scan_class.lower().split(" ")[1:2] if is_imported(told) else []
            if other and other != [tool]:
                return other[0]
    return ""


class Rehearsing:
    """Says what would become of rows, and writes nothing at all to the database."""

    def __init__(self, desk: Desk, tool: str = "") -> None:
        self._desk = desk
        self._moved = bool(tool)
        self._seen: set[int] = set()

    async def prepare(self, _: Sequence[Asked]) -> list[Drafted]:
        """Nothing: a draft names a contract, and that may have to be written first."""
        return []

    async def store(self, asked: Sequence[Asked], _: Sequence[Drafted]) -> list[Verdict]:
        """As ``Registering`` would, were it asked now."""
        core, registrations = self._desk.core, [one.read.registration for one in asked]
        now = datetime.now(UTC)
        before = core.registrar.reusable_before(registrations, now, moved=self._moved)
        holders = await patiently(
            lambda: number_holders(core.pool, self._desk.account_id, registrations, before)
        )
        return [
            _verdict(one, self._answer(one, holders.get(place)), "")
            for place, one in enumerate(asked)
        ]

    def _answer(self, one: Asked, holder: str | None) -> Conflict | None:
        registration = one.read.registration
        number = (registration.carrier_code, number_key(registration.tracking_number))
        names = {"tracking_number": hash(number)}
        if registration.source_id:
            names["source_id"] = hash(("source", registration.source_id))
        taken = holder or next((name for name, mark in names.items() if mark in self._seen), None)
        if taken is not None:
            return Conflict(TAKEN, field=FIELDS[taken])
        self._seen.update(names.values())
        return None


def _verdict(asked: Asked, answer: object, note: str) -> Verdict:
    number = asked.read.registration.tracking_number
    match answer:
        case MilepostError(http_status=409):
            reason = "; ".join(part for part in (str(answer), note) if part)
            return Verdict(asked.line, number, "exists", reason, asked.row)
        case MilepostError():
            return Verdict(asked.line, number, "refused", str(answer), asked.row)
        case _:
            return Verdict(asked.line, number, "registered", asked.read.note, asked.row)
