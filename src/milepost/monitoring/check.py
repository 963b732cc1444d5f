"""Asking a carrier about the due parcels of one lane, and keeping what it says.

The order is the point:

1. Find the connector and the credential; without them the lane closes, with the reason.
2. Take slots of the carrier's quota; without any the lane waits for them.
3. Claim due rows under a lease (committed before anybody is asked), as many as there are slots for.
4. Ask, outside any transaction, each request in its slot, and no longer than the lease is ours.
5. Weigh: a carrier that fails as a whole rests, a refused credential closes its lane.
6. Settle each row: record news, or write the schedule's row only.
"""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import structlog
from prometheus_client import Counter

from milepost import failpoints, metrics
from milepost.accounts.vault import CredentialStore, StoredCredential
from milepost.carriers.connector import Broken, Credential, Item, Outcome, Refused
from milepost.carriers.fetcher import Fetcher, Line
from milepost.carriers.registry import Carrier, Catalogue
from milepost.db.pool import Pool
from milepost.errors import ClaimLost, DatabaseUnavailable, NoSlot
from milepost.monitoring import slots
from milepost.monitoring.breaker import weigh
from milepost.monitoring.claim import Claimed, Lane, claim, close, pause, rest, uncount, wake
from milepost.monitoring.database_clock import DatabaseClock
from milepost.monitoring.drift import Drifts
from milepost.monitoring.finish import Finisher
from milepost.monitoring.leases import Leases
from milepost.monitoring.live import LiveCarriers
from milepost.monitoring.plan import Planning, Quiet
from milepost.monitoring.question import credential_of, item_of
from milepost.monitoring.settle import Settler
from milepost.parcels.record import Recorder

CLAIM = 50
"""Rows of one lane taken at a time."""
CREDENTIAL_RETRY = timedelta(hours=1)
"""A refused credential is tried again this often; setting a new one opens the lane at once."""
OWN_FAULT_REST = timedelta(seconds=30)
"""How long a lane rests whose check we failed with ourselves, so that others have their turn."""
WRITTEN_AT_ONCE = 32
"""Answers of all lanes being kept at a time. The others wait here and not for a connection, where
waiting counts as trouble of the database's; quiet ones share their statement."""
MOST_SERIES = 512

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """One check of one lane: whom to ask, as whom, and what is held meanwhile.

    ``asked`` is the code whose quota and login are taken: another's, where that one answers.
    """

    lane: Lane
    carrier: Carrier
    asked: str
    login: StoredCredential | None
    credential: Credential
    ledger: slots.Ledger
    leases: Leases
    finisher: Finisher


class Checker:
    """Checks lanes. One per worker process; safe to run for several lanes at once."""

    def __init__(
        self,
        pool: Pool,
        catalogue: Catalogue,
        credentials: CredentialStore,
        recorder: Recorder,
        fetcher: Fetcher,
        planning: Planning,
        lease: timedelta,
    ) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._credentials = credentials
        self._writing = asyncio.Semaphore(WRITTEN_AT_ONCE)
        self._settler = Settler(recorder, planning, self._writing)
        self._fetcher = fetcher
        self._lease = lease
        self._clock = DatabaseClock()
        self._live = LiveCarriers(pool)
        self.unmapped, self.hours, self.drifts = recorder.unmapped, recorder.hours, Drifts(pool)

    async def check(self, lane: Lane) -> int:
        """Check what is due in ``lane``; the number of parcels asked about."""
        carrier = self._catalogue.get(lane.carrier_code)
        if carrier is None or carrier.connector() is None:
            await pause(self._pool, lane, "not_supported", None)
            return 0
        code = carrier.asked.manifest.code
        login = await self._credentials.get(lane.account_id, code)
        if login is None and carrier.needs_credential:
            await self._close(lane, code, "waiting_for_credentials", None, login)
            return 0
        credential = credential_of(carrier, login, lane.account_id)
        quota = carrier.asked.manifest.quota_for(credential)
        ledger = slots.Ledger(self._pool, self._clock, slots.Budget(code, credential.owner, quota))
        leases = Leases(self._pool, lane, self._lease)
        finisher = Finisher(self._pool, lane, self._writing)
        return await self._take_turn(
            Round(lane, carrier, code, login, credential, ledger, leases, finisher)
        )

    async def rest(self, lane: Lane) -> None:
        """Let others have their turn before a lane whose check failed is tried again."""
        await rest(self._pool, lane, OWN_FAULT_REST)

    async def _take_turn(self, turn: Round) -> int:
        """Slots before rows; at the end the unused ones go back, and a lane without any rests."""
        asked = 0
        size = turn.carrier.asked.manifest.batch_size
        taken = await turn.ledger.take(-(-CLAIM // size))
        try:
            if taken.granted:
                asked = await self._ask_due(turn, size, taken.granted)
        finally:
            await turn.ledger.close()
            if turn.ledger.probe is not None:
                # Where nobody was asked, another may be the probe.
                await weigh(self._pool, turn.ledger, answered=False, failed=False)
        if turn.ledger.denied is not None and await self._is_current(turn):
            gap = turn.ledger.budget.gap
            await slots.stay_away(self._pool, turn.lane, turn.ledger.denied, gap)
        return asked

    async def _is_current(self, turn: Round) -> bool:
        """A login that was just replaced has another quota: its lane has no reason to rest."""
        account_id = turn.lane.account_id
        return await self._credentials.is_current(account_id, turn.asked, turn.login)

    async def _ask_due(self, turn: Round, size: int, granted: int) -> int:
        most = min(CLAIM, granted * size)
        async with turn.leases.held() as hold:
            rows = hold(await claim(self._pool, turn.lane, most, self._lease, size))
            failpoints.reach("poll.after_lease")
            batches = [rows[start : start + size] for start in range(0, len(rows), size)]
            await turn.ledger.keep(len(batches))
            turn.finisher.expect(len(batches))
            # All to their end: one that fails must not leave the others running unattended.
            ended = await asyncio.gather(
                *(self._check_batch(turn, batch) for batch in batches), return_exceptions=True
            )
        # Once for the whole claim: all of an account's checks of a day at a carrier are one row.
        if unasked := sum(one for one in ended if isinstance(one, int)):
            await uncount(self._pool, turn.lane, unasked)
        for one in ended:
            if isinstance(one, BaseException):
                raise one
        return len(rows)

    async def _check_batch(self, turn: Round, rows: Sequence[Claimed]) -> int:
        """How many of ``rows`` got no slot."""
        try:
            quiet, unasked = await self._settled(turn, rows)
        except ClaimLost as lost:
            # Another asks about them, or will: whatever we wrote would be refused.
            _tell("leases lost", turn.lane, str(lost))
            return 0
        finally:
            turn.finisher.heard()
        await turn.finisher.finish(quiet)
        turn.leases.let_go(rows)
        return unasked

    async def _settled(self, turn: Round, rows: Sequence[Claimed]) -> tuple[list[Quiet], int]:
        """Ask and keep the news; what is left to be written in the schedule's rows, and how many
        got no slot."""
        items = {item_of(row): row for row in rows}
        outcomes = await self._ask(turn, items)
        failpoints.reach("poll.after_http")
        kinds = [type(answer).__name__.lower() for answer in outcomes.values()]
        for kind in kinds:
            _counted(turn.asked, kind).inc()
        self.hours.checked(turn.lane.account_id, turn.lane.carrier_code, kinds)
        quiet = await self._keep(turn, items, outcomes)
        return quiet, 0 if turn.ledger.denied is None else len(items) - len(outcomes)

    async def _keep(
        self, turn: Round, items: Mapping[Item, Claimed], outcomes: Mapping[Item, Outcome]
    ) -> list[Quiet]:
        """What the answers mean for the carrier, the lane and each parcel."""
        async with self._writing:
            rests = await self._weigh(turn, list(outcomes.values()))
            turn = await self._heed(turn, list(outcomes.values()))
            await self._live.note(turn.lane.carrier_code, outcomes.values())
        quiet: list[Quiet] = []
        for item, row in items.items():
            outcome = outcomes.get(item)
            if outcome is None and turn.ledger.denied is None:
                outcome = Broken("the connector gave no outcome for this parcel", lane_wide=False)
            if outcome is None or (rests and isinstance(outcome, Broken) and outcome.lane_wide):
                quiet.append(self._settler.unasked(row))
            elif settled := await self._settler.settle(turn.lane, turn.carrier, row, outcome):
                quiet.append(settled)
        await self.unmapped.keep_fresh(self._pool)
        return quiet

    async def _ask(self, turn: Round, items: Mapping[Item, Claimed]) -> Mapping[Item, Outcome]:
        connector = turn.carrier.connector()
        assert connector is not None  # noqa: S101 - the lane would have been closed
        rows = list(items.values())
        line = Line(self._fetcher, lambda: turn.ledger.slot(lambda: turn.leases.check(rows)))
        try:
            async with self.drifts.watching(turn.carrier.asked):
                return await connector.ask(list(items), turn.credential, line)
        except NoSlot:
            return {}
        except (ClaimLost, DatabaseUnavailable):
            raise
        except Exception:
            # A connector does not raise; one that does has told nothing about any parcel.
            log.exception("connector failed", carrier_code=turn.lane.carrier_code)
            return {}

    async def _weigh(self, turn: Round, outcomes: Sequence[Outcome]) -> bool:
        """Whether the carrier rests now; one batch counts once, however many parcels are in it."""
        faults = [one.why for one in outcomes if isinstance(one, Broken) and one.lane_wide]
        others = [one.why for one in outcomes if isinstance(one, Broken) and not one.lane_wide]
        answered = len(outcomes) > len(faults)
        why = faults[0] if faults else ""
        was_open = turn.ledger.probe is not None
        rests = await weigh(
            self._pool, turn.ledger, answered=answered, failed=bool(faults), why=why
        )
        for reason in others + faults[: 1 if not was_open and rests is None else 0]:
            _tell("carrier broken", turn.lane, reason)
        return rests is not None

    async def _heed(self, turn: Round, outcomes: Sequence[Outcome]) -> Round:
        """Close, pause or open the lane as the carrier's refusals say, never the parcels."""
        refusals = [one for one in outcomes if isinstance(one, Refused)]
        lane, code = turn.lane, turn.asked
        if not refusals:
            if lane.state != "credential_refused" or not any(
                not isinstance(one, Broken) for one in outcomes
            ):
                return turn
            lane = dataclasses.replace(lane, state="open")
            await pause(self._pool, lane, lane.state, timedelta())
            return dataclasses.replace(turn, lane=lane)
        refusal = max(refusals, key=lambda one: (one.credential_refused, one.retry_after))
        _tell("carrier refused", lane, refusal.why)
        if refusal.credential_refused:
            await self._close(lane, code, "credential_refused", CREDENTIAL_RETRY, turn.login)
        else:
            wait = max(slots.SHORTEST_REST, timedelta(seconds=refusal.retry_after))
            seconds = wait.total_seconds()
            await slots.hold(self._pool, code, turn.credential.owner, seconds)
            turn.ledger.deny("quota", seconds)
            await rest(self._pool, lane, wait)
        return turn

    async def _close(
        self,
        lane: Lane,
        code: str,
        state: str,
        wait: timedelta | None,
        login: StoredCredential | None,
    ) -> None:
        """Close a lane because of ``login``, unless another was set meanwhile."""
        if login is None:
            # There may be one that nobody can open.
            own = await self._credentials.own_version(lane.account_id, code)
        else:
            own = login.version if login.is_own else None
        await close(self._pool, lane, state, wait, code, own)
        # The operator's login lies in a platform table and is looked at afterwards: whoever sets
        # one wakes the lanes after that, so one of us is the later.
        if not await self._credentials.is_current(lane.account_id, code, login):
            await wake(self._pool, lane)


@lru_cache(maxsize=MOST_SERIES)
def _counted(carrier_code: str, outcome: str) -> Counter:
    return metrics.checks.labels(carrier_code, outcome)


def _tell(event: str, lane: Lane, why: str) -> None:
    log.warning(event, account_id=lane.account_id, carrier_code=lane.carrier_code, reason=why)
