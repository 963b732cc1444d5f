"""Feeds of changes: a carrier is asked what has changed, for a login of the account's own.

Each question takes a slot of the carrier's quota. What it tells is stored together with how far it
told (``keep_fed``), so that nothing is missed and nothing is told twice; from there on it goes the
way of a push. An account without a login of its own has none: the operator's would tell it of
everybody's parcels.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from milepost.accounts.vault import CredentialStore
from milepost.carriers.changes import Changes, ReadsChanges
from milepost.carriers.connector import Broken, Credential, Refused
from milepost.carriers.exchange import Answer
from milepost.carriers.fetcher import Fetcher, Line
from milepost.carriers.platforms.refusals import refusal_of
from milepost.carriers.registry import Carrier, Catalogue
from milepost.db.accounts import account_by_account
from milepost.db.pool import Pool, all_rows, retrying
from milepost.errors import CarrierParseError, CarrierUnreachable, NoSlot
from milepost.intake.statements import INTAKE
from milepost.monitoring import slots
from milepost.monitoring.breaker import weigh
from milepost.monitoring.database_clock import DatabaseClock
from milepost.monitoring.question import credential_of
from milepost.tracking.parcel import number_key

LEASE = timedelta(minutes=3)
"""Longer than a question takes; after this a feed whose worker died is asked by another."""
MOST_WAIT = 3_600.0
CATCHING_UP = 1.0
"""Seconds until the next question where there is more to tell than one may ask for."""
LATER = 600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What a feed is asked: for whom, as whom, and between which instants."""

    account_id: int
    carrier: Carrier
    changes: Changes
    credential: Credential
    since: datetime
    until: datetime
    is_last: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a question: the entries of its parcels, or why there are none."""

    payloads: Sequence[bytes] = ()
    why: str = ""
    wait: float = 0.0


class Feeds:
    """Asks feeds. One per worker process."""

    def __init__(
        self, pool: Pool, catalogue: Catalogue, credentials: CredentialStore, fetcher: Fetcher
    ) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._credentials = credentials
        self._fetcher = fetcher
        self._clock = DatabaseClock()

    async def plan(self) -> int:
        """Give every account with a login of its own at a carrier with a feed its turn there."""
        planned = 0
        for carrier in self._catalogue:
            if carrier.manifest.changes is not None:
                async for account_id in self._accounts(carrier):
                    if await self._login(account_id, carrier) is not None:
                        await self._plan(account_id, carrier)
                        planned += 1
        return planned

    async def ask(self, account_id: int, carrier_code: str) -> int:
        """Ask one feed once, and plan its next turn; how many entries were about our parcels."""
        carrier = self._catalogue.get(carrier_code)
        changes = carrier.manifest.changes if carrier is not None else None
        credential = await self._login(account_id, carrier) if carrier and changes else None
        if carrier is None or changes is None or credential is None:
            await self._rest(account_id, carrier_code)
            return 0
        now = datetime.now(UTC)
        row = await self._claim(account_id, carrier_code, now - timedelta(seconds=changes.lag))
        if row is None:
            return 0
        question = _question(account_id, carrier, changes, credential, row["told_until"], now)
        told = await self._ask(question)
        await self._keep(question, row, told)
        return len(told.payloads)

    async def _ask(self, question: Question) -> Told:
        manifest = question.carrier.manifest
        reader = question.carrier.changes_reader
        budget = slots.Budget(
            manifest.code,
            question.credential.owner,
            manifest.quota_for(question.credential),
        )
        ledger = slots.Ledger(self._pool, self._clock, budget)
        taken = await ledger.take(1)
        if not taken.granted:
            return Told(why=taken.why, wait=max(1.0, taken.wait.total_seconds()))
        asked = reader.request(manifest, question.credential, question.since, question.until)
        try:
            answer = await Line(self._fetcher, ledger.slot).fetch(asked)
        except NoSlot as late:
            # Nobody was asked: a probe of the breaker's that we hold is another's at once.
            await weigh(self._pool, ledger, answered=False, failed=False)
            return Told(why=late.why, wait=max(1.0, late.wait))
        except CarrierUnreachable as error:
            await weigh(self._pool, ledger, answered=False, failed=True, why=str(error))
            return Told(why=str(error), wait=LATER)
        finally:
            await ledger.close()
        told = await self._read(question, reader, answer)
        failed = bool(told.why) and answer.status >= 500
        await weigh(self._pool, ledger, answered=not failed, failed=failed, why=told.why)
        return told

    async def _read(self, question: Question, reader: ReadsChanges, answer: Answer) -> Told:
        if answer.status != 200:
            match refusal_of(answer):
                case Refused() as refused:
                    code, owner = question.carrier.manifest.code, question.credential.owner
                    if not refused.credential_refused:
                        await slots.hold(self._pool, code, owner, refused.retry_after)
                    return Told(why=refused.why, wait=refused.retry_after)
                case Broken(why):
                    return Told(why=why, wait=LATER)
        try:
            entries = reader.entries(answer.body)
        except CarrierParseError as error:
            return Told(why=f"unreadable: {error}", wait=LATER)
        known = await self._known(question, [number for number, _ in entries])
        return Told([body for number, body in entries if number_key(number) in known])

    async def _known(self, question: Question, numbers: Sequence[str]) -> set[str]:
        """Which numbers are of parcels of the account. The others are nobody's here: a feed tells
        of everything its customer sends, and there is no reason to keep that."""
        codes = self._catalogue.codes_asked_as(question.carrier.manifest.code)
        wanted = {
            "account_id": question.account_id,
            "carrier_codes": list(codes),
            "number_keys": sorted({number_key(number) for number in numbers}),
        }
        rows = await all_rows(lambda: INTAKE.known_numbers(self._pool, **wanted))
        return {row["number_key"] for row in rows}

    async def _keep(self, question: Question, row: Any, told: Told) -> None:
        changes, code = question.changes, question.carrier.manifest.code
        misses = row["misses"] + 1 if told.why else 0
        due_in = changes.every if question.is_last else CATCHING_UP
        if told.why:
            due_in = min(max(told.wait, 1.0), MOST_WAIT)
            log.warning(
                "a feed was not told",
                account_id=question.account_id,
                carrier_code=code,
                reason=told.why,
            )
        await retrying(
            lambda: INTAKE.keep_fed(
                self._pool,
                account_id=question.account_id,
                carrier_code=code,
                fence=row["fence"],
                told_until=row["told_until"] if told.why else question.until,
                misses=misses,
                reason=told.why[:300],
                payloads=list(told.payloads),
                due_in=due_in,
            )
        )

    async def _login(self, account_id: int, carrier: Carrier) -> Credential | None:
        login = await self._credentials.get(account_id, carrier.manifest.code)
        changes = carrier.manifest.changes
        if login is None or not login.is_own or changes is None:
            return None
        if not all(login.fields.get(name) for name in changes.needs):
            return None
        return credential_of(carrier, login, account_id)

    async def _claim(self, account_id: int, carrier_code: str, since: datetime) -> Any:
        return await retrying(
            lambda: INTAKE.claim_feed(
                self._pool,
                account_id=account_id,
                carrier_code=carrier_code,
                since=since,
                lease=LEASE,
            )
        )

    def _accounts(self, carrier: Carrier) -> AsyncIterator[int]:
        codes = list(self._catalogue.codes_asked_as(carrier.manifest.code))
        return account_by_account(
            lambda after, most: INTAKE.accounts_of_lanes(
                self._pool, carrier_codes=codes, after=after, most=most
            )
        )

    async def _plan(self, account_id: int, carrier: Carrier) -> None:
        queue = f"feed:{carrier.manifest.code}"
        await retrying(lambda: INTAKE.begin_turn(self._pool, account_id=account_id, queue=queue))

    async def _rest(self, account_id: int, carrier_code: str) -> None:
        queue = f"feed:{carrier_code}"
        await retrying(lambda: INTAKE.rest_turn(self._pool, account_id=account_id, queue=queue))


def _question(
    account_id: int,
    carrier: Carrier,
    changes: Changes,
    credential: Credential,
    told_until: datetime,
    now: datetime,
) -> Question:
    """From where it told last, as far back as it goes, and no more than it tells at once."""
    oldest = now - timedelta(seconds=changes.back)
    newest = now - timedelta(seconds=changes.lag)
    if told_until < oldest:
        log.warning(
            "a feed does not go back to where it was left; its parcels are asked about as ever",
            account_id=account_id,
            carrier_code=carrier.manifest.code,
        )
    since = max(told_until, oldest)
    until = max(since, min(newest, since + timedelta(seconds=changes.window)))
    return Question(account_id, carrier, changes, credential, since, until, until >= newest)
