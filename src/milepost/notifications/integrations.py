"""Integrations: shops that hear of parcels by classic webhooks, and of what is done with them.

Each of these is of one transaction of the account, in which nobody else tells its events. A key to
sign with is made with the integration, so that the first thing it hears is signed.
"""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from milepost.accounts.secret_keys import SecretKeys
from milepost.db.accounts import account_by_account
from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.egress.policy import Policy
from milepost.errors import Conflict, InvalidFields, NotFoundError
from milepost.notifications import lanes
from milepost.notifications.connections import forget_some, hold_account, note
from milepost.notifications.giving_up import give_up
from milepost.notifications.sealing import Seals
from milepost.notifications.shop import Shop, Wanted, changed, columns, faults, shop_of
from milepost.notifications.signing_keys import ShownKey, first_key
from milepost.notifications.statements import CONNECTIONS, INTEGRATIONS
from milepost.wire.classic import Integration, IntegrationAction, integration_changed

MOST = 100
"""Integrations of an account: each event is held against all of them."""


@dataclass(frozen=True, slots=True)
class KeptIntegration:
    """An integration as it may be shown. ``state`` and ``reason`` are those of its deliveries."""

    integration_id: int
    shop: Shop
    created_at: datetime
    updated_at: datetime
    state: str
    reason: str
    failing_since: datetime | None
    former_key_until: datetime | None

    @property
    def published(self) -> Integration:
        """As the integrations calls and webhooks describe it."""
        shop = self.shop
        return Integration(
            integration_id=self.integration_id,
            shop_name=shop.shop_name,
            shop_url=shop.shop_url,
            system=shop.system,
            failing_since=self.failing_since,
            last_updated_at=self.updated_at,
            service_point_enabled=shop.service_point_enabled,
            service_point_carriers=shop.service_point_carriers,
            webhook_active=shop.webhook_active,
            webhook_url=shop.webhook_url,
        )


class Integrations:
    """Makes and changes integrations. ``actor`` says who asked for it, for the audit."""

    def __init__(self, keys: SecretKeys, policy: Policy) -> None:
        """``policy`` says what may be called."""
        self._keys = keys
        self._policy = policy

    async def create(
        self, conn: Connection, account_id: int, wanted: Wanted, key: str | None, actor: str
    ) -> tuple[KeptIntegration, ShownKey]:
        """A new one, and the key that signs: the one that is brought, or one that we make.

        Raises InvalidFields, InvalidInput for a key that can be none, Conflict for one too many.
        """
        shop = self._judged(Shop(), wanted)
        shown = first_key(key)
        await hold_account(conn, account_id)
        if await INTEGRATIONS.counted(conn, account_id=account_id) >= MOST:
            raise Conflict(f"An account has at most {MOST} integrations")
        connection_id = await CONNECTIONS.next_id(conn)
        which = {"account_id": account_id, "connection_id": connection_id}
        sealed = Seals(self._keys, account_id, connection_id).seal_key(shown.key)
        await INTEGRATIONS.add(conn, **which, **columns(shop), signing_key=sealed)
        await CONNECTIONS.add_lane(conn, **which)
        await note(conn, account_id, actor, "integration.created", connection_id)
        kept = await found(conn, account_id, connection_id)
        await _tell(conn, account_id, "integration_connected", kept)
        return kept, shown

    async def change(
        self, conn: Connection, account_id: int, integration_id: int, wanted: Wanted, actor: str
    ) -> KeptIntegration:
        """It is told of it, where anything is different. Raises NotFoundError, InvalidFields.

        Another address, or an active webhook that is set active again, is tried at once.
        """
        await hold_account(conn, account_id)
        before = await found(conn, account_id, integration_id)
        shop = self._judged(before.shop, wanted)
        if wanted.webhook_active or wanted.webhook_url:
            await lanes.try_again(conn, account_id, integration_id)
        if shop != before.shop:
            which = {"account_id": account_id, "connection_id": integration_id}
            await INTEGRATIONS.change(conn, **which, **columns(shop))
            await note(conn, account_id, actor, "integration.changed", integration_id)
        kept = await found(conn, account_id, integration_id)
        if shop != before.shop:
            await _tell(conn, account_id, "integration_updated", kept)
        return kept

    def _judged(self, before: Shop, wanted: Wanted) -> Shop:
        shop = changed(before, wanted)
        if wrong := faults(shop, wanted, self._policy):
            raise InvalidFields(*wrong)
        return shop


async def delete(conn: Connection, account_id: int, integration_id: int, actor: str) -> None:
    """From now on there is none. Raises NotFoundError.

    What was still to be delivered is given up, but that it was deleted is delivered as usual.
    """
    await hold_account(conn, account_id)
    kept = await found(conn, account_id, integration_id)
    which = {"account_id": account_id, "connection_id": integration_id}
    await give_up(conn, **which)
    await INTEGRATIONS.delete(conn, **which)
    await note(conn, account_id, actor, "integration.deleted", integration_id)
    if kept.state == "open":
        await _tell(conn, account_id, "integration_deleted", kept)


async def listed(conn: Connection, account_id: int) -> list[KeptIntegration]:
    """An account's, the oldest first."""
    return [_kept(row) async for row in INTEGRATIONS.listed(conn, account_id=account_id)]


async def found(conn: Connection, account_id: int, integration_id: int) -> KeptIntegration:
    """One of an account's. Raises NotFoundError."""
    row = await INTEGRATIONS.found(conn, account_id=account_id, connection_id=integration_id)
    if row is None:
        raise NotFoundError
    return _kept(row)


def accounts(pool: Pool) -> AsyncIterator[int]:
    """Every account that has connections."""
    return account_by_account(
        lambda after, most: INTEGRATIONS.accounts_connected(pool, after=after, most=most)
    )


async def forget_deleted(pool: Pool, account_id: int) -> int:
    """Remove integrations that have been told of their deletion, or can't be; how many."""

    async def ready() -> list[int]:
        async with tenant(pool, account_id) as conn:
            rows = INTEGRATIONS.deleted(conn, account_id=account_id)
            return [row["connection_id"] async for row in rows]

    async def some(connection_id: int) -> bool:
        async with tenant(pool, account_id) as conn:
            await CONNECTIONS.shut_lane(conn, account_id=account_id, connection_id=connection_id)
            return await forget_some(conn, account_id, connection_id)

    gone = await retrying(ready)
    for connection_id in gone:
        while await retrying(lambda one=connection_id: some(one)):  # type: ignore[misc]
            pass
    return len(gone)


async def _tell(
    conn: Connection, account_id: int, action: IntegrationAction, kept: KeptIntegration
) -> None:
    """On its way through the queue, signed with the keys of the hour it is sent."""
    if kept.shop.webhook_active:
        await INTEGRATIONS.tell(
            conn,
            account_id=account_id,
            connection_id=kept.integration_id,
            event_id=f"integration_{secrets.token_hex(12)}",
            action=action,
            body=integration_changed(action, kept.published, datetime.now(UTC)),
        )


def _kept(row: Any) -> KeptIntegration:
    return KeptIntegration(
        integration_id=row["connection_id"],
        shop=shop_of(row),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        state=row["state"],
        reason=row["reason"],
        failing_since=row["failing_since"],
        former_key_until=row["former_key_until"],
    )
