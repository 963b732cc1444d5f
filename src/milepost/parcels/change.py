"""Changing a registered parcel: what it was registered with, and whether it is watched.

Every change bumps the parcel's revision, so that nobody who read it before writes over it, and is
written down in ``audit`` by the names of its fields.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.errors import Conflict, DatabaseUnavailable, NotFoundError
from milepost.parcels.draft import Ready, identifier_key
from milepost.parcels.register import FIELDS, TAKEN
from milepost.parcels.render import Renderer
from milepost.parcels.search import lexemes
from milepost.parcels.statements import CHANGES
from milepost.parcels.stored import StoredParcel, load, status_columns
from milepost.tracking.journey import Journey
from milepost.tracking.parcel import number_key

ATTEMPTS = 5
STOPPED = "Stopped by the merchant."
_TAKEN = {
    "parcel_current_source": FIELDS["source_id"],
    "tracked_number_current": FIELDS["tracking_number"],
}

Edit = Callable[[StoredParcel], Awaitable[Ready]]
"""What a parcel is to be registered with instead; raises what is wrong with it."""


class Changer:
    """Changes parcels of any account. ``actor`` says who asked for it, for the audit."""

    def __init__(self, pool: Pool, renderer: Renderer, reregister_after: timedelta) -> None:
        self._pool = pool
        self._renderer = renderer
        self._reregister_after = reregister_after

    async def change(self, account_id: int, parcel_id: int, edit: Edit, actor: str) -> list[str]:
        """Edit a parcel's registration; the names of the fields that changed.

        Its events stay, and so do the numbers it had before, as names it is found by. A new number
        or carrier is asked about at once. Raises NotFoundError, Conflict where the new number or
        source_id is another parcel's, DatabaseUnavailable when others were faster five times.
        """
        for _ in range(ATTEMPTS):
            stored = await self._stored(account_id, parcel_id)
            ready = await edit(stored)
            after = _edited(stored, ready)
            fields = changed_fields(stored, after)
            if not fields:
                return []
            journey = self._renderer.journey(after)

            async def attempt(
                before: StoredParcel = stored,
                after: StoredParcel = after,
                journey: Journey = journey,
                fields: list[str] = fields,
            ) -> bool:
                async with tenant(self._pool, account_id) as conn:
                    if _claims(before) != _claims(after):
                        await self._free_names(conn, after)
                    return await _write(conn, before, after, journey, fields, actor)

            try:
                if await retrying(attempt):
                    return fields
            except asyncpg.UniqueViolationError as taken:
                field = _TAKEN.get(taken.constraint_name or "", ())
                raise Conflict(TAKEN, field=field) from taken
        raise DatabaseUnavailable(f"parcel {parcel_id} changes faster than it can be changed")

    async def stop(self, account_id: int, parcel_id: int, reason: str, actor: str) -> None:
        """Watch a parcel no more; one that is stopped already stays as it was."""

        async def stop(conn: Connection, parcel: asyncpg.Record, which: dict[str, Any]) -> None:
            if parcel["stopped_at"] is not None:
                return
            told = reason or STOPPED
            await CHANGES.stop_parcel(conn, **which, reason=told, now=datetime.now(UTC))
            await CHANGES.rest_watch(conn, **which)
            detail = {"reason_given": bool(reason)}
            await CHANGES.note(conn, **which, actor=actor, action="stop", detail=detail)

        await self._steer(account_id, parcel_id, stop)

    async def resume(self, account_id: int, parcel_id: int, actor: str) -> None:
        """Watch a stopped parcel again, from now on."""

        async def resume(conn: Connection, parcel: asyncpg.Record, which: dict[str, Any]) -> None:
            if parcel["stopped_at"] is None:
                return
            await CHANGES.resume_parcel(conn, **which, now=datetime.now(UTC))
            await CHANGES.wake_watch(conn, **which)
            await CHANGES.note(conn, **which, actor=actor, action="resume", detail={})
            await CHANGES.plan_lane(
                conn, account_id=account_id, carrier_code=parcel["carrier_code"]
            )

        await self._steer(account_id, parcel_id, resume)

    async def check(self, account_id: int, parcel_id: int, actor: str) -> None:
        """Make a parcel due now; its carrier's quota decides when it is asked about.

        Raises Conflict where it is stopped.
        """

        async def check(conn: Connection, parcel: asyncpg.Record, which: dict[str, Any]) -> None:
            if parcel["stopped_at"] is not None:
                raise Conflict("The parcel is stopped; resume it first.")
            await CHANGES.ask_now(conn, **which)
            await CHANGES.note(conn, **which, actor=actor, action="check", detail={})
            await CHANGES.plan_lane(
                conn, account_id=account_id, carrier_code=parcel["carrier_code"]
            )

        await self._steer(account_id, parcel_id, check)

    async def _free_names(self, conn: Connection, after: StoredParcel) -> None:
        """Takes the new names from parcels that have been over for as long as registration asks.

        Raises Conflict where one of the others has a name.
        """
        which = {"account_id": after.account_id, "parcel_id": after.parcel_id}
        locked = await CHANGES.lock_parcel(conn, **which)
        if locked is None or not locked["is_current"]:
            # Gone, or retired itself: its names are no hindrance to anybody, nor others' to it.
            return
        before = datetime.now(UTC) - self._reregister_after
        over = []
        async for holder in CHANGES.name_holders(
            conn,
            account_id=after.account_id,
            carrier_code=after.carrier_code,
            number_key=number_key(after.tracking_number),
            source_id=after.source_id,
            reusable_before=before,
        ):
            if holder["parcel_id"] == after.parcel_id:
                continue
            if not holder["is_over"]:
                raise Conflict(TAKEN, field=FIELDS[holder["name"]], parcel_id=holder["parcel_id"])
            over.append(holder["parcel_id"])
        if over:
            await CHANGES.retire(
                conn, account_id=after.account_id, parcels=over, reusable_before=before
            )

    async def _stored(self, account_id: int, parcel_id: int) -> StoredParcel:
        found = await retrying(lambda: load(self._pool, account_id, [parcel_id]))
        if parcel_id not in found:
            raise NotFoundError
        return found[parcel_id]

    async def _steer(
        self,
        account_id: int,
        parcel_id: int,
        work: Callable[[Connection, asyncpg.Record, dict[str, Any]], Awaitable[None]],
    ) -> None:
        which = {"account_id": account_id, "parcel_id": parcel_id}

        async def attempt() -> None:
            async with tenant(self._pool, account_id) as conn:
                parcel = await CHANGES.lock_parcel(conn, **which)
                if parcel is None:
                    raise NotFoundError
                await work(conn, parcel, which)

        await retrying(attempt)


def changed_fields(before: StoredParcel, after: StoredParcel) -> list[str]:
    """The names of what differs, two levels deep (``to_address.city``); no values."""
    names = [
        name
        for name in ("announced_at", "source_id", "carrier_code", "tracking_number")
        if getattr(before, name) != getattr(after, name)
    ]
    return names + sorted(_differing(before.document, after.document, {"tracking_number"}))


def _differing(before: Mapping[str, Any], after: Mapping[str, Any], deeper: set[str]) -> list[str]:
    found = []
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            inner = {each for each in old.keys() | new.keys() if old.get(each) != new.get(each)}
            # The number and its carrier are named by themselves.
            inner -= {"tracking_number", "carrier_code"} if name in deeper else set()
            found += [f"{name}.{each}" for each in inner]
        else:
            found.append(name)
    return found


def _edited(stored: StoredParcel, ready: Ready) -> StoredParcel:
    registration = ready.registration
    return dataclasses.replace(
        stored,
        carrier_code=registration.carrier_code,
        tracking_number=registration.tracking_number,
        source_id=registration.source_id,
        announced_at=registration.announced_at,
        document=ready.document,
    )


async def _write(
    conn: Connection,
    before: StoredParcel,
    after: StoredParcel,
    journey: Journey,
    fields: list[str],
    actor: str,
) -> bool:
    """False where somebody else changed the parcel since it was read."""
    which = {"account_id": after.account_id, "parcel_id": after.parcel_id}
    state = status_columns(journey) | {
        "first_scan_at": journey.first_scan_at,
        "last_scan_at": journey.last_scan_at,
        "ended_at": journey.ended_at,
    }
    row = await CHANGES.change_parcel(
        conn,
        **which,
        revision=before.revision,
        carrier_code=after.carrier_code,
        tracking_number=after.tracking_number,
        source_id=after.source_id,
        request=after.document,
        announced_at=after.announced_at,
        state=state,
        now=datetime.now(UTC),
    )
    if row is None:
        return False
    if _names(before) != _names(after):
        await _rename(conn, which, after, is_current=row["is_current"])
    if _asked(before) != _asked(after):
        carrier = after.carrier_code
        due = row["stopped_at"] is None
        await CHANGES.move_watch(conn, **which, carrier_code=carrier, due=due)
        if due:
            await CHANGES.plan_lane(conn, account_id=after.account_id, carrier_code=carrier)
    words = lexemes(
        after.account_id,
        after.carrier_code,
        after.tracking_number,
        after.source_id,
        after.document,
    )
    await CHANGES.keep_words(conn, **which, words=words)
    await CHANGES.note(conn, **which, actor=actor, action="change", detail={"fields": fields})
    return True


async def _rename(
    conn: Connection, which: dict[str, Any], after: StoredParcel, *, is_current: bool
) -> None:
    key, alias = number_key(after.tracking_number), identifier_key(after.document)
    named = {**which, "carrier_code": after.carrier_code}
    await CHANGES.give_up_numbers(conn, **which, number_key=key)
    await CHANGES.take_number(conn, **named, number_key=key, is_current=is_current)
    await CHANGES.drop_identifiers(conn, **which)
    if alias not in ("", key):
        await CHANGES.take_identifier(conn, **named, number_key=alias)


def _asked(parcel: StoredParcel) -> tuple[str, str]:
    return parcel.carrier_code, number_key(parcel.tracking_number)


def _claims(parcel: StoredParcel) -> tuple[str, str, str]:
    """What no other parcel may have."""
    return *_asked(parcel), parcel.source_id


def _names(parcel: StoredParcel) -> tuple[str, str, str]:
    return *_asked(parcel), identifier_key(parcel.document)
