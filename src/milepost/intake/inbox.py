"""What carriers pushed: kept before it is acknowledged, told afterwards, by any worker.

A payload is deleted once everything in it was told; telling it again after a crash adds nothing, as
one scan is one event. What could not be told stays for people to look at, in one of ``STATES``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
import structlog

from milepost import failpoints
from milepost.carriers.connector import Found
from milepost.carriers.registry import Catalogue
from milepost.db.accounts import account_by_account
from milepost.db.pool import Pool, retrying, tenant
from milepost.errors import CarrierParseError, DatabaseUnavailable
from milepost.intake.addresses import Knock
from milepost.intake.own_form import Pushed, read_own_form
from milepost.intake.statements import INTAKE
from milepost.intake.tell import Teller, Verdict
from milepost.intake.told_rows import Sender
from milepost.monitoring.drift import Drifts
from milepost.tracking.parcel import number_key

T = TypeVar("T")

STATES = {
    "waiting": "it is told as soon as a worker gets to it",
    "unknown_number": "about a number that no current parcel of the account has",
    "unreadable": "its form, or that of a part of it, is not one that we know of this carrier",
    "dead": "we failed to tell it each time; the log says why",
    "notice": "it names no parcel: about the subscription, or of a kind we don't read",
}
FAULTY_AFTER = (5, 30, 120, 600, 3_600, 6 * 3_600)
"""Seconds until a payload that we failed to tell is tried again; after the last it is dead."""
UNKNOWN_AFTER = (60, 600, 3_600, 6 * 3_600, 24 * 3_600)
"""The same for a number that is not ours: carriers push before a shop has registered its parcel."""
CLAIM = 50
"""Payloads at most; ``claim_pushes`` stops at 8 MB of them."""
AT_ONCE = 4
LEASE = timedelta(minutes=2)
"""After this a payload whose worker died is another's."""
PARSED_ASIDE = 64 * 1024
"""Longer ones are read in a thread, so that nobody else waits for them."""
LONGEST_REASON = 300

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A payload under a lease; ``tries`` counts this one."""

    push_id: int
    carrier_code: str
    source: str
    received_at: datetime
    headers: Mapping[str, str]
    payload: bytes
    tries: int
    fence: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of it: nothing is left where ``state`` is None; ``due_in`` None: never again."""

    state: str | None = None
    reason: str = ""
    numbers: tuple[str, ...] = ()
    due_in: float | None = None


TOLD = Fate()


@dataclass(frozen=True, slots=True)
class Kept:
    """A payload that is kept, as it can be shown."""

    push_id: int
    carrier_code: str
    source: str
    received_at: datetime
    state: str
    reason: str
    numbers: tuple[str, ...]
    tries: int
    due_at: datetime | None
    payload: bytes


async def keep(pool: Pool, knock: Knock, headers: Mapping[str, str], payload: bytes) -> bool:
    """Store a payload, committed; False where its address was revoked meanwhile.

    Of ``headers`` (names in lower case) only those that reading needs are kept.
    """
    wanted = {name: headers[name] for name in knock.push.keeps if name in headers}
    stored = await retrying(
        lambda: INTAKE.keep_push(
            pool,
            account_id=knock.account_id,
            push_secret_id=knock.address_id,
            headers=wanted,
            payload=payload,
        )
    )
    failpoints.reach("push.after_store")
    return stored is not None


async def kept(pool: Pool, account_id: int, carrier_code: str, most: int) -> list[Kept]:
    """What an account was told by a carrier and nobody could tell on, the latest first."""

    async def ask() -> list[Kept]:
        async with tenant(pool, account_id) as conn:
            rows = INTAKE.kept_pushes(
                conn, account_id=account_id, carrier_code=carrier_code, most=most
            )
            return [_kept(row) async for row in rows]

    return await retrying(ask)


async def try_again(pool: Pool, account_id: int, carrier_code: str) -> int:
    """Make all of it due once more, as after a parser was put right; how many there were."""

    async def once() -> int:
        async with tenant(pool, account_id) as conn:
            again: int = await INTAKE.try_again(
                conn, account_id=account_id, carrier_code=carrier_code
            )
            await INTAKE.plan_intake(conn, account_id=account_id, queue="push")
            return again

    return await retrying(once)


async def forget(pool: Pool, account_id: int, before: datetime, most: int) -> int:
    """Forget what came before and could not be told; at most ``most``, the oldest first."""

    async def once() -> int:
        async with tenant(pool, account_id) as conn:
            gone: int = await INTAKE.forget_pushes(
                conn, account_id=account_id, before=before, most=most
            )
            return gone

    return await retrying(once, seconds=None)


def accounts(pool: Pool) -> AsyncIterator[int]:
    """Every account that was ever told something, as the worker knows them: by their turns."""
    return account_by_account(
        lambda after, most: INTAKE.accounts_told(pool, after=after, most=most)
    )


class Inbox:
    """Tells what was kept. One per worker process; safe beside any number of others."""

    def __init__(self, pool: Pool, catalogue: Catalogue, teller: Teller, drifts: Drifts) -> None:
        self._drifts = drifts
        self._pool = pool
        self._catalogue = catalogue
        self._teller = teller

    async def work(self, account_id: int) -> int:
        """Tell what is due of an account, and plan its next turn; how many payloads there were."""
        claimed = await self._claimed(account_id)
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(row: Claimed) -> None:
            async with turns:
                await self._finish(account_id, row, await self._fate(account_id, row))

        ended = await asyncio.gather(*(one(row) for row in claimed), return_exceptions=True)
        for each in ended:
            if isinstance(each, BaseException):
                raise each
        await retrying(lambda: INTAKE.plan_pushes(self._pool, account_id=account_id))
        return len(claimed)

    async def _claimed(self, account_id: int) -> list[Claimed]:
        async def ask() -> list[Claimed]:
            rows = INTAKE.claim_pushes(self._pool, account_id=account_id, most=CLAIM, lease=LEASE)
            return [Claimed(**dict(row)) async for row in rows]

        return await retrying(ask)

    async def _fate(self, account_id: int, row: Claimed) -> Fate:
        if row.tries > len(FAULTY_AFTER) + 1:
            # Whoever had it before has not lived to say what became of it.
            return Fate("dead", "nobody who tried to tell it came to an end")
        try:
            pushed = await self._read(row)
            failpoints.reach("push.before_record")
            fate = await self._tell(account_id, row, list(pushed.told))
            if pushed.problem and fate.state is None:
                numbers = tuple(dict.fromkeys(number_key(number) for number, _ in pushed.told))
                return Fate("unreadable", pushed.problem[:LONGEST_REASON], numbers)
            return fate
        except DatabaseUnavailable:
            raise
        except CarrierParseError as error:
            return Fate("unreadable", str(error)[:LONGEST_REASON])
        except Exception as error:
            log.exception(
                "a pushed payload could not be told",
                account_id=account_id,
                carrier_code=row.carrier_code,
                push_id=row.push_id,
            )
            return _after_fault(row, type(error).__name__)

    async def _read(self, row: Claimed) -> Pushed:
        if row.source == "own":
            sender = Sender.of(row.carrier_code, self._catalogue)
            return await _aside(row, lambda: read_own_form(sender, row.payload))
        carrier = self._catalogue.get(row.carrier_code)
        if carrier is None:
            raise CarrierParseError("nobody knows this carrier any more")
        read = carrier.read_push if row.source == "push" else carrier.read_fed
        async with self._drifts.watching(carrier, pushed=True):
            told = await _aside(row, lambda: read(row.payload, row.headers))
        return Pushed(tuple(told))

    async def _tell(self, account_id: int, row: Claimed, told: list[tuple[str, Found]]) -> Fate:
        unknown = []
        for number, found in told:
            verdict = await self._teller.tell(
                account_id, row.carrier_code, number, found, "push", row.received_at
            )
            if verdict.verdict is Verdict.UNKNOWN_NUMBER:
                unknown.append(number_key(number))
        if not told:
            return Fate("notice", STATES["notice"])
        # One shipment may be told by several numbers of its own, of which one is enough. A feed
        # tells of everything its customer sends, wherever that is tracked.
        if len(unknown) < len(told) or row.source == "feed":
            return TOLD
        due_in = UNKNOWN_AFTER[row.tries - 1] if row.tries <= len(UNKNOWN_AFTER) else None
        numbers = tuple(dict.fromkeys(number_key(number) for number, _ in told))
        return Fate("unknown_number", STATES["unknown_number"], numbers, due_in)

    async def _finish(self, account_id: int, row: Claimed, fate: Fate) -> None:
        await retrying(
            lambda: INTAKE.finish_push(
                self._pool,
                account_id=account_id,
                push_id=row.push_id,
                fence=row.fence,
                state=fate.state,
                reason=fate.reason,
                numbers=list(fate.numbers),
                due_in=fate.due_in,
            )
        )


async def _aside(row: Claimed, read: Callable[[], T]) -> T:
    return await asyncio.to_thread(read) if len(row.payload) > PARSED_ASIDE else read()


def _after_fault(row: Claimed, why: str) -> Fate:
    if row.tries > len(FAULTY_AFTER):
        return Fate("dead", why)
    return Fate("waiting", why, due_in=FAULTY_AFTER[row.tries - 1])


def _kept(row: asyncpg.Record) -> Kept:
    facts: dict[str, Any] = dict(row)
    due_at = facts.pop("due_at")
    endless = not isinstance(due_at, datetime) or due_at.year == MAXYEAR
    return Kept(**facts | {"numbers": tuple(facts["numbers"])}, due_at=None if endless else due_at)
