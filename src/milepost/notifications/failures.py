"""What did not arrive at an account's integrations, for the published exception logs."""

from datetime import datetime

from milepost.db.pool import Connection
from milepost.notifications import integrations
from milepost.notifications.statements import LOG
from milepost.wire.exception_logs import FailedRequest


async def failures(
    conn: Connection,
    account_id: int,
    integration_id: int | None,
    before: datetime | None,
    most: int,
) -> list[FailedRequest]:
    """``most`` failed attempts, the last first: of one integration, or of all of them.

    There are more where some failed in the same moment as the last of these, and fewer at the end.
    Raises NotFoundError where the account has no such integration.
    """
    if integration_id is not None:
        await integrations.found(conn, account_id, integration_id)
    rows = LOG.failures(
        conn, account_id=account_id, connection_id=integration_id, before=before, most=most
    )
    return [FailedRequest(**row) async for row in rows]
