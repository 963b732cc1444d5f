"""The minute's round over the lanes: repairs turns and opens lanes whose reason is gone."""

from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, retrying
from milepost.monitoring.claim import Lane, closed_lanes, open_lanes, wake

PAGE = 500
START = Lane(0, "")


async def sweep(pool: Pool, catalogue: Catalogue, credentials: CredentialStore) -> int:
    """Repair every lane once; the number of closed lanes that were opened.

    A registration that commits just after its lane's next turn was reckoned leaves a row that is
    due before the turn; a credential set at the moment a lane closes leaves it closed. Both are
    put right here.
    """
    opened = 0
    after = START
    while page := await closed_lanes(pool, after, PAGE):
        for lane in page:
            if await _may_open(catalogue, credentials, lane):
                await wake(pool, lane)
                opened += 1
        after = page[-1]
    after = START
    while lanes := await open_lanes(pool, after, PAGE):
        for lane in lanes:
            await _repair(pool, lane)
        after = lanes[-1]
    return opened


async def _may_open(catalogue: Catalogue, credentials: CredentialStore, lane: Lane) -> bool:
    carrier = catalogue.get(lane.carrier_code)
    if carrier is None or carrier.connector() is None:
        return False
    return not carrier.manifest.needs_credential or await credentials.has(
        lane.account_id, carrier.manifest.code
    )


async def _repair(pool: Pool, lane: Lane) -> None:
    await retrying(
        lambda: pool.execute("SELECT repair_lane($1, $2)", lane.account_id, lane.carrier_code)
    )
