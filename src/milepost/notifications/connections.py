"""Connections of the Event Subscriptions API: where an account's events go."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

import asyncpg

from milepost.accounts.secret_keys import SecretKeys
from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.egress.policy import Policy
from milepost.errors import InvalidFields, NotFoundError
from milepost.notifications import lanes
from milepost.notifications.configuration import Change, Configuration, changed, faults
from milepost.notifications.faults import Fault
from milepost.notifications.forms import Form, Kind
from milepost.notifications.sealing import Seals
from milepost.notifications.signing import key_of
from milepost.notifications.statements import CONNECTIONS
from milepost.parcels.statements import CHANGES

KINDS = (Kind.WEBHOOK, Kind.KLAVIYO)
MOST = 100
"""Connections of an account; integrations and e-mail are counted by themselves."""
FORGOTTEN_AT_ONCE = 1000
FORGETTING_SECONDS = 1.0
_NO_CONFIGURATION = "A klaviyo connection is configured by its authorization."


@dataclass(frozen=True, slots=True)
class Destination:
    """A connection as it may be shown: of its secrets it has the headers' names only."""

    connection_id: int
    kind: Kind
    form: Form
    url: str
    auth_type: str
    header_names: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


class Connections:
    """Makes, changes and shows connections. Each call is of one transaction of the account."""

    def __init__(self, keys: SecretKeys, policy: Policy) -> None:
        """``policy`` says what may be called."""
        self._keys = keys
        self._policy = policy

    async def create(
        self,
        conn: Connection,
        account_id: int,
        kind: Kind,
        wanted: Change,
        actor: str,
        key: str | None = None,
    ) -> Destination:
        """A new connection with its lane; a webhook signs with ``key``, or with one of ours.

        Raises Fault, InvalidFields, InvalidInput for a key that can be none.
        """
        signs_with = key_of(key) if kind is Kind.WEBHOOK else None
        configuration = self._configured(kind, Configuration(), wanted)
        await hold_account(conn, account_id)
        there = await CONNECTIONS.count_connections(conn, account_id=account_id, kinds=KINDS)
        if there >= MOST:
            why = f"An account has at most {MOST} connections."
            raise Fault(("body",), why, "non_field_errors")
        connection_id = await CONNECTIONS.next_id(conn)
        seals = Seals(self._keys, account_id, connection_id)
        row = await CONNECTIONS.add(
            conn,
            account_id=account_id,
            connection_id=connection_id,
            kind=kind,
            signing_key=None if signs_with is None else seals.seal_key(signs_with),
            **_columns(configuration, seals),
        )
        await CONNECTIONS.add_lane(conn, account_id=account_id, connection_id=connection_id)
        await note(conn, account_id, actor, "connection.created", connection_id)
        return _destination(row)

    async def change(
        self, conn: Connection, account_id: int, connection_id: int, wanted: Change, actor: str
    ) -> Destination:
        """It goes elsewhere. What failed there is tried anew.

        Raises NotFoundError, and as ``create`` does.
        """
        which = {"account_id": account_id, "connection_id": connection_id}
        row = await CONNECTIONS.held(conn, **which, kinds=KINDS)
        if row is None:
            raise NotFoundError
        seals = Seals(self._keys, account_id, connection_id)
        before = Configuration(
            row["url"],
            row["settings"].get("auth_type", "none"),
            Form(row["form"]),
            seals.open(row["sealed"]),
        )
        configuration = self._configured(Kind(row["kind"]), before, wanted)
        made = await CONNECTIONS.change(conn, **which, **_columns(configuration, seals))
        if wanted.reaches_elsewhere:
            await lanes.try_again(conn, account_id, connection_id)
        await note(conn, account_id, actor, "connection.changed", connection_id)
        return _destination(made)

    def _configured(self, kind: Kind, before: Configuration, wanted: Change) -> Configuration:
        if kind is not Kind.WEBHOOK:
            if wanted != Change():
                raise Fault(("configuration",), _NO_CONFIGURATION)
            return before
        configuration = changed(before, wanted, self._policy)
        if found := faults(before, configuration, wanted, self._policy):
            raise InvalidFields(*found)
        return configuration


async def listed(
    conn: Connection, account_id: int, kinds: Iterable[Kind] = KINDS
) -> list[Destination]:
    """An account's, the oldest first."""
    rows = CONNECTIONS.listed(conn, account_id=account_id, kinds=list(kinds))
    return [_destination(row) async for row in rows]


async def found(conn: Connection, account_id: int, connection_id: int) -> Destination:
    """One of an account's. Raises NotFoundError."""
    row = await CONNECTIONS.found(
        conn, account_id=account_id, connection_id=connection_id, kinds=KINDS
    )
    if row is None:
        raise NotFoundError
    return _destination(row)


async def delete(pool: Pool, account_id: int, connection_id: int, actor: str) -> None:
    """A connection and all that was for it alone. Raises NotFoundError.

    1. It is shown to nobody, and nothing more is sent there. 2. What was for it goes, as far as it
    does in a moment: there may be very many deliveries, and the worker removes what is left.
    """

    async def end() -> None:
        async with tenant(pool, account_id) as conn:
            await hold_account(conn, account_id)
            await found(conn, account_id, connection_id)
            which = {"account_id": account_id, "connection_id": connection_id}
            await CONNECTIONS.shut_lane(conn, **which)
            await CONNECTIONS.forget_subscriptions(conn, **which)
            await CONNECTIONS.strike(conn, **which)
            await note(conn, account_id, actor, "connection.deleted", connection_id)

    async def portion() -> bool:
        async with tenant(pool, account_id) as conn:
            return await forget_some(conn, account_id, connection_id)

    await retrying(end)
    until = monotonic() + FORGETTING_SECONDS
    while await retrying(portion):
        if monotonic() > until:
            break


async def forget_some(conn: Connection, account_id: int, connection_id: int) -> bool:
    """Some of the deliveries of a connection whose lane is shut, or of the attempts at them, or at
    last the connection itself. Whether anything is left.
    """
    which = {"account_id": account_id, "connection_id": connection_id}
    await CONNECTIONS.hold_lane(conn, **which)
    rows = CONNECTIONS.forget_deliveries(conn, **which, most=FORGOTTEN_AT_ONCE)
    messages = sorted({row["message_id"] async for row in rows})
    if messages:
        await CONNECTIONS.forget_messages(conn, account_id=account_id, message_ids=messages)
        return True
    if await CONNECTIONS.forget_attempts(conn, **which, most=FORGOTTEN_AT_ONCE):
        return True
    await CONNECTIONS.forget_lane(conn, **which)
    await CONNECTIONS.forget(conn, **which)
    return False


async def hold_account(conn: Connection, account_id: int) -> None:
    """Until the transaction ends nobody else tells the account's events or changes to whom.

    So limits hold, and nothing is told to what is being deleted.
    """
    await CONNECTIONS.make_head(conn, account_id=account_id)
    await CONNECTIONS.hold_head(conn, account_id=account_id)


async def note(
    conn: Connection, account_id: int, actor: str, action: str, connection_id: int
) -> None:
    """Write down who did what with a connection."""
    await CHANGES.note(
        conn,
        account_id=account_id,
        actor=actor,
        action=action,
        parcel_id=None,
        detail={"connection_id": connection_id},
    )


def _columns(configuration: Configuration, seals: Seals) -> dict[str, Any]:
    secrets = configuration.secrets
    return {
        "form": configuration.form,
        "url": configuration.url,
        "settings": {
            "auth_type": configuration.auth_type,
            "header_names": list(secrets.extra_headers),
        },
        "sealed": seals.seal(secrets) if secrets.auth_config or secrets.extra_headers else None,
    }


def _destination(row: asyncpg.Record) -> Destination:
    return Destination(
        connection_id=row["connection_id"],
        kind=Kind(row["kind"]),
        form=Form(row["form"]),
        url=row["url"],
        auth_type=row["settings"].get("auth_type", "none"),
        header_names=tuple(row["settings"].get("header_names") or ()),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
