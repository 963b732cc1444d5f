"""Moving the clock of an account's simulated carriers, so that stories need no waiting."""

from collections.abc import Mapping
from datetime import timedelta

from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Connection
from milepost.errors import Conflict, InvalidInput

OFFSET = "clock_offset_seconds"
FURTHEST = timedelta(days=366)
"""Of all advances together; a story is told within 120 days."""


async def advance(
    conn: Connection,
    credentials: CredentialStore,
    catalogue: Catalogue,
    account_id: int,
    step: timedelta,
) -> timedelta:
    """Put the account's simulated carriers ahead by ``step`` and have them asked at once.

    In the tenant transaction of ``conn``. Gives how far ahead they are now. Raises InvalidInput for
    a step that is not forward, Conflict for one that leads further than ``FURTHEST``.
    """
    if step <= timedelta():
        raise InvalidInput("The sandbox's clock only moves forward.", ("body", "seconds"))
    ahead = timedelta()
    for carrier in catalogue:
        if carrier.manifest.simulated:
            code = carrier.manifest.code
            changed = await credentials.change_for_account(
                conn, account_id, code, lambda fields: _moved(fields, step)
            )
            ahead = timedelta(seconds=float(changed[OFFSET]))
            for name in catalogue.codes_asked_as(code):
                await conn.execute("SELECT wake_lane($1, $2)", account_id, name)
    return ahead


def _moved(fields: Mapping[str, str], step: timedelta) -> Mapping[str, str]:
    ahead = timedelta(seconds=float(fields.get(OFFSET) or 0)) + step
    if ahead > FURTHEST:
        raise Conflict("The sandbox's clock can be a year ahead at most.")
    return {**fields, OFFSET: str(ahead.total_seconds())}
