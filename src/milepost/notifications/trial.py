"""Trying a subscription's connection: one event that did not happen, sent at once."""

import math
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.errors import InvalidInput, NotFoundError, TooManyRequests
from milepost.notifications import sample
from milepost.notifications.audience import Body
from milepost.notifications.connections import hold_account, note
from milepost.notifications.forms import Kind
from milepost.notifications.held import Connected, Delivery, Lane, Sender
from milepost.notifications.statements import CONNECTIONS, INTEGRATIONS
from milepost.notifications.verdict import Verdict
from milepost.wire.classic import TEST, webhook_test
from milepost.wire.v3_event import CREATED

EVERY_SECONDS = 10
"""An account tries one connection in so many seconds: nobody's server is flooded through us."""
_TESTED = "connection.tested"
Find = Callable[[Connection], Awaitable[asyncpg.Record | None]]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. ``status`` is 0 where no answer came; ``text`` then says why, else it is
    the answer's, as far as it is kept."""

    success: bool
    status: int
    text: str


class Trials:
    """Tries connections, past their queue."""

    def __init__(self, pool: Pool, senders: Mapping[Kind, Sender], body: Body) -> None:
        self._pool = pool
        self._senders = senders
        self._body = body

    async def send(self, account_id: int, subscription_id: int, actor: str) -> Result:
        """Send the example to a subscription's connection.

        Raises NotFoundError, and TooManyRequests so soon after another test of the account.
        """
        is_taken = False

        async def find(conn: Connection) -> asyncpg.Record | None:
            nonlocal is_taken
            which = {"account_id": account_id, "parcel_id": sample.PARCEL_ID}
            is_taken = await CONNECTIONS.is_parcel(conn, **which)
            row: asyncpg.Record | None = await CONNECTIONS.to_send(
                conn, account_id=account_id, subscription_id=subscription_id
            )
            return row

        connected = await self._begun(account_id, actor, find)
        example = sample.subject(is_taken=is_taken)
        body = self._body(connected.form, example, sample.ENTRY)
        return await self._tried(connected, example.parcel.parcel_id, CREATED, body)

    async def send_to_integration(self, account_id: int, integration_id: int, actor: str) -> Result:
        """Send the classic test to an integration, whether its webhook is active or not.

        Raises NotFoundError, InvalidInput where it has no address, and TooManyRequests as above.
        """

        async def find(conn: Connection) -> asyncpg.Record | None:
            row: asyncpg.Record | None = await INTEGRATIONS.to_send(
                conn, account_id=account_id, connection_id=integration_id
            )
            if row is not None and not row["url"]:
                raise InvalidInput("It has no webhook URL yet", ("webhook_url",), "missing")
            return row

        connected = await self._begun(account_id, actor, find)
        return await self._tried(connected, 0, TEST, webhook_test(datetime.now(UTC)))

    async def _begun(self, account_id: int, actor: str, find: Find) -> Connected:
        async def begin() -> Connected:
            async with tenant(self._pool, account_id) as conn:
                await hold_account(conn, account_id)
                row = await find(conn)
                if row is None:
                    raise NotFoundError
                last = await CONNECTIONS.seconds_since_test(
                    conn, account_id=account_id, action=_TESTED
                )
                if last is not None and last < EVERY_SECONDS:
                    raise TooManyRequests(min(math.ceil(EVERY_SECONDS - last), EVERY_SECONDS))
                await note(conn, account_id, actor, _TESTED, row["connection_id"])
                return Connected.of(Lane(account_id, row["connection_id"]), row)

        return await retrying(begin)

    async def _tried(
        self, connected: Connected, parcel_id: int, action: str, body: bytes | None
    ) -> Result:
        sender = self._senders.get(connected.kind)
        if sender is None or body is None:
            return Result(False, 0, f"Nothing can be sent to {connected.kind} yet.")
        sent = await sender.to(connected)(_delivery(parcel_id, action, body))
        success = sent.judged.verdict is Verdict.DELIVERED
        if sent.status is None or (not sent.answer and sent.judged.verdict is Verdict.FAILED):
            return Result(False, sent.status or 0, f"Not delivered: {sent.judged.reason}.")
        return Result(success, sent.status, sent.answer.decode("utf-8", "replace"))


def _delivery(parcel_id: int, action: str, body: bytes) -> Delivery:
    # Each test has an id of its own: receivers drop what they have seen.
    name = f"test_{secrets.token_hex(8)}"
    return Delivery(0, parcel_id, 0, name, int(action == CREATED), action, body, is_test=True)
