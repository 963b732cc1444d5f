"""What becomes of the rows of an import: registered, or in a rehearsal only looked up."""

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
from milepost.parcels.record_many import Told, record_many
from milepost.parcels.register import (
    FIELDS,
    TAKEN,
    UNHURRIED_SECONDS,
    Moved,
    Registered,
    number_holders,
)
from milepost.parcels.stored import StoredParcel, load
from milepost.tracking.imported import is_imported
from milepost.tracking.parcel import number_key


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
        """Register them all and say what became of each."""
        answers = await self._registered(asked, drafts)
        notes = await self._record_pasts(asked, answers) if self._tool else [""] * len(asked)
        return [
            _verdict(one, answer, note)
            for one, answer, note in zip(asked, answers, notes, strict=True)
        ]

    async def _registered(
        self, asked: Sequence[Asked], drafts: Sequence[Drafted]
    ) -> list[Registered | Conflict]:
        """What became of each. What was stored although its answer never came is no conflict."""
        registrar, account_id = self._desk.core.registrar, self._desk.account_id
        moved, attempts = self._moved(asked), list[datetime]()

        async def register() -> list[Registered | Conflict]:
            fresh = registrar.fresh(account_id, drafts)
            attempts.append(fresh[0].created_at)
            return await registrar.store_drafts(
                account_id, fresh, moved=moved, seconds=UNHURRIED_SECONDS
            )

        answers = await patiently(register)
        # One attempt got its answer; of any before it nobody knows whether it was stored.
        return await self._with_own(drafts, answers, attempts) if len(attempts) > 1 else answers

    async def _with_own(
        self,
        drafts: Sequence[Drafted],
        answers: Sequence[Registered | Conflict],
        attempts: Sequence[datetime],
    ) -> list[Registered | Conflict]:
        """``answers``, and of the parcels that an attempt of ours stored which row they are of: of
        rows with the same names it is the first, as everywhere."""
        known = await self._load([one.parcel_id for one in answers if one.parcel_id])
        ours: set[int] = set()
        told: list[Registered | Conflict] = []
        for draft, answer in zip(drafts, answers, strict=True):
            parcel = known.get(answer.parcel_id or 0)
            if (
                isinstance(answer, Conflict)
                and answer.field == FIELDS["tracking_number"]
                and parcel is not None
                and parcel.created_at in attempts
                and parcel.source_id == draft.ready.registration.source_id
                and parcel.parcel_id not in ours
            ):
                ours.add(parcel.parcel_id)
                told.append(self._desk.core.registrar.registered(draft, parcel.parcel_id))
            else:
                told.append(answer)
        return told

    def _moved(self, asked: Sequence[Asked]) -> Moved | None:
        if not self._tool:
            return None
        over = {place for place, one in enumerate(asked) if one.read.past and one.read.past.is_over}
        return Moved(self._quiet, frozenset(over))

    async def _load(self, parcel_ids: Sequence[int]) -> Mapping[int, StoredParcel]:
        pool, account_id = self._desk.core.pool, self._desk.account_id
        if not parcel_ids:
            return {}
        return await patiently(
            lambda: retrying(lambda: load(pool, account_id, parcel_ids), seconds=UNHURRIED_SECONDS)
        )

    async def _record_pasts(
        self, asked: Sequence[Asked], answers: Sequence[Registered | Conflict]
    ) -> list[str]:
        """Record what was told of each parcel, of those that exist too: an import that was killed
        may have registered them and no more. What there is to say beside, row by row."""
        notes = [""] * len(asked)
        waiting = [place for place, answer in enumerate(answers) if answer.parcel_id is not None]
        while waiting:
            # Of rows that are about one parcel the later ones see what became of the first.
            first = {answers[place].parcel_id: place for place in reversed(waiting)}
            turn = sorted(first.values())
            waiting = [place for place in waiting if first[answers[place].parcel_id] != place]
            told = await patiently(lambda turn=turn: self._told(asked, answers, turn))  # type: ignore[misc]
            for place, note in zip(turn, told, strict=True):
                notes[place] = note
        return notes

    async def _told(
        self,
        asked: Sequence[Asked],
        answers: Sequence[Registered | Conflict],
        turn: Sequence[int],
    ) -> list[str]:
        """Record the pasts of different parcels, as these stand now."""
        core, account_id = self._desk.core, self._desk.account_id
        known = await self._load([one for place in turn if (one := answers[place].parcel_id)])
        notes, told = [], []
        for place in turn:
            past, answer = asked[place].read.past, answers[place]
            before = known.get(answer.parcel_id or 0)
            note = "" if before is None or past is None else self._refused(past, answer, before)
            notes.append(note)
            if past is not None and before is not None and past.observation.scans and not note:
                told.append(Told(before, past.observation, _beside(past, before)))
        now = datetime.now(UTC)
        await record_many(
            core.pool, core.recorder, account_id, told, now, lambda *_: None, quiet=self._quiet
        )
        return notes

    def _refused(self, past: Past, answer: Registered | Conflict, before: StoredParcel) -> str:
        """Why a past is not recorded, ``""`` where it is."""
        if not past.observation.scans:
            return ""
        if isinstance(answer, Conflict) and answer.field != FIELDS["tracking_number"]:
            return f"its source_id is another number's, of parcel {before.parcel_id}"
        if other := _told_by(before, self._tool):
            return f"its history was told by {other} already and is left as it is"
        return ""


def _beside(past: Past, before: StoredParcel) -> News:
    """Who signed, where nobody has said so yet: the carrier has the last word on that too."""
    is_known = before.extra.get("signed_by")
    return News() if is_known or not past.signed_by else News(extra={"signed_by": past.signed_by})


def _told_by(parcel: StoredParcel, tool: str) -> str:
    """Another tool that told a past of the parcel, ``""`` if none did."""
    for event in parcel.events:
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
