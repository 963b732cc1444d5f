"""A worker's round of the drop folder: every file that has been left alone for a while is fed."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

import structlog

from milepost import failpoints
from milepost.accounts.statements import statements
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, retrying, tenant
from milepost.errors import DatabaseUnavailable, FileUnreadable
from milepost.intake.drop_folder import DropFolder, Laid, Shelf, State, Taken
from milepost.intake.files import Fed, Feeder, read_file
from milepost.intake.tell import Teller
from milepost.intake.told_rows import Sender
from milepost.intake.verdicts import Verdict, VerdictFile

FORGET_SECONDS = 3600.0
AGAIN_SECONDS = 600.0
"""After which a file that the system would not let us have is tried again, and told of."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DropRules:
    """``settle_seconds``: how long a file is left alone before it is taken. ``keep_days``: how long
    it is kept afterwards; 0 is for good."""

    settle_seconds: float
    most_bytes: int
    keep_days: float


class DropRounds:
    """One per worker process: it remembers what files were like when it looked before."""

    def __init__(
        self,
        folder: DropFolder,
        rules: DropRules,
        pool: Pool,
        catalogue: Catalogue,
        teller: Teller,
    ) -> None:
        self._folder = folder
        self._rules = rules
        self._pool = pool
        self._catalogue = catalogue
        self._teller = teller
        self._seen: dict[Laid, tuple[State, float]] = {}
        self._not_before: dict[Laid, float] = {}
        self._forget_at = 0.0

    async def look(self) -> None:
        """Feed what can be fed. May be cancelled anywhere and begun again.

        Raises DatabaseUnavailable; the file in hand is read on from there at the next look.
        """
        for laid in await self._settled():
            await self._take(laid)
        await self._forget()

    async def _settled(self) -> list[Laid]:
        """Files that were the same when they were seen long enough ago."""
        now = monotonic()
        try:
            found = await asyncio.to_thread(self._folder.laid)
        except OSError as error:
            log.warning("the drop folder can't be read", error=str(error))
            return []
        seen = self._seen
        self._seen = {
            laid: seen[laid] if laid in seen and seen[laid][0] == state else (state, now)
            for laid, state in found.items()
        }
        self._not_before = {laid: at for laid, at in self._not_before.items() if laid in found}
        return [
            laid
            for laid, (_, since) in self._seen.items()
            if now - since >= self._rules.settle_seconds and self._not_before.get(laid, 0) <= now
        ]

    async def _take(self, laid: Laid) -> None:
        try:
            with self._folder.taken(laid) as taken:
                if taken is None or taken.state != self._seen[laid][0]:
                    return
                if why := await self._unwanted(laid.account_id):
                    self._wait(laid, why)
                else:
                    await self._feed(taken)
        except OSError as error:
            self._wait(laid, str(error))
        except DatabaseUnavailable:
            raise
        except Exception as error:
            # At each look it would be in the way of everybody's files that come after it.
            log.exception("a file could not be fed", account_id=laid.account_id)
            self._wait(laid, type(error).__name__)

    async def _feed(self, taken: Taken) -> None:
        laid = taken.laid
        sender = Sender.of(laid.carrier, self._catalogue)
        with VerdictFile(self._folder.verdicts(taken)) as verdicts:
            fed = await self._read(taken, sender, verdicts)
        failpoints.reach("drop.before_shelve")
        if not taken.unchanged():
            # It was still being written. What was told stays told; the rest is read next time.
            return
        shelf: Shelf = "rejected" if fed.ended else "done"
        await asyncio.to_thread(self._folder.shelve, taken, shelf, datetime.now(UTC))
        log.info(
            "a file was read",
            account_id=laid.account_id,
            carrier_code=laid.carrier,
            state=shelf,
            rows=fed.rows,
            told=fed.told,
            refused=fed.refused,
            new_events=fed.new_events,
        )

    async def _read(self, taken: Taken, sender: Sender, verdicts: VerdictFile) -> Fed:
        """A file that is none of ours at all has one verdict, on itself."""
        most = self._rules.most_bytes
        try:
            reader = await asyncio.to_thread(read_file, taken.file, sender, most_bytes=most)
        except FileUnreadable as error:
            verdicts.write(Verdict(error.line, "", "refused", error.why, 0))
            return Fed(rows=1, refused=1, ended=str(error))
        return await Feeder(self._teller, taken.laid.account_id, sender).feed(reader, verdicts)

    async def _unwanted(self, account_id: int) -> str:
        """Why an account's files are left where they lie; nothing where they are fed."""

        async def look_up() -> list[str]:
            async with tenant(self._pool, account_id) as conn:
                found = statements.find_accounts(conn, name="", account_id=account_id)
                return [row["status"] async for row in found]

        found = await retrying(look_up)
        if not found:
            return "no such account"
        return "" if found == ["active"] else "the account is suspended"

    def _wait(self, laid: Laid, why: str) -> None:
        self._not_before[laid] = monotonic() + AGAIN_SECONDS
        log.warning(
            "a file was left where it lies",
            account_id=laid.account_id,
            carrier_code=laid.carrier,
            error=why,
        )

    async def _forget(self) -> None:
        if not self._rules.keep_days or monotonic() < self._forget_at:
            return
        self._forget_at = monotonic() + FORGET_SECONDS
        before = datetime.now(UTC) - timedelta(days=self._rules.keep_days)
        try:
            await asyncio.to_thread(self._folder.forget, before)
        except OSError as error:
            log.warning("old files could not be removed", error=str(error))
