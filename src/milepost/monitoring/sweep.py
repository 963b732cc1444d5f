"""The minute's round over the lanes: repairs turns and opens lanes whose reason is gone.

One worker does it for all of them. It is a safety net: whoever changes a lane's reason or its first
due row moves the lane too, and this finds where that was missed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import groupby

from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.jobs import Turn, only_one
from milepost.db.pool import Pool, retrying
from milepost.monitoring.claim import Lane, closed_lanes, open_lanes, wake

EVERY = timedelta(seconds=60)
LEASE_SECONDS = 120
PAGE = 500
AT_ONCE = 4
"""Accounts looked at together; other work needs connections too."""
START = Lane(0, "")
PageOf = Callable[[Lane], Awaitable[list[Lane]]]


async def sweep_in_turn(pool: Pool, catalogue: Catalogue, credentials: CredentialStore) -> None:
    """``sweep``, by one worker at a time and no oftener than it is due."""
    async with only_one(pool, "sweep", LEASE_SECONDS, every=EVERY.total_seconds() * 0.9) as turn:
        if turn is not None:
            turn.outcome = {"opened": await sweep(pool, catalogue, credentials, turn)}


async def sweep(
    pool: Pool, catalogue: Catalogue, credentials: CredentialStore, turn: Turn | None = None
) -> int:
    """Look at every lane once; the number of closed lanes that were opened.

    A registration that commits just after its lane's next turn was reckoned leaves a row that is
    due before the turn; it is found here unless the turn comes before the next sweep anyway.
    """
    opened = 0
    askable = [carrier.manifest.code for carrier in catalogue if carrier.can_be_asked]
    async for accounts in _by_account(lambda last: closed_lanes(pool, last, PAGE, askable), turn):
        done = await asyncio.gather(
            *(_open(pool, catalogue, credentials, lanes) for lanes in accounts)
        )
        opened += sum(done)
    async for accounts in _by_account(lambda last: open_lanes(pool, last, PAGE, EVERY), turn):
        await asyncio.gather(*(_repair(pool, lanes) for lanes in accounts))
    return opened


async def _by_account(page_of: PageOf, turn: Turn | None) -> AsyncIterator[list[list[Lane]]]:
    """The lanes of a few accounts at a time: every statement is about one account only."""
    page = await page_of(START)
    while page:
        accounts = [list(lanes) for _, lanes in groupby(page, lambda lane: lane.account_id)]
        for start in range(0, len(accounts), AT_ONCE):
            yield accounts[start : start + AT_ONCE]
        if turn is not None:
            await turn.keep()
        page = await page_of(page[-1])


async def _open(
    pool: Pool, catalogue: Catalogue, credentials: CredentialStore, lanes: Sequence[Lane]
) -> int:
    opened = 0
    for lane in lanes:
        carrier = catalogue.get(lane.carrier_code)
        # "Not supported" is over for all that come here; what else is missing the next check finds.
        if carrier is not None and (
            lane.state == "not_supported"
            or not carrier.needs_credential
            or await credentials.has(lane.account_id, carrier.asked.manifest.code)
        ):
            await wake(pool, lane)
            opened += 1
    return opened


async def _repair(pool: Pool, lanes: Sequence[Lane]) -> None:
    codes = [lane.carrier_code for lane in lanes]
    await retrying(lambda: pool.execute("SELECT repair_lanes($1, $2)", lanes[0].account_id, codes))
