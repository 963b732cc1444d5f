"""Giving a connection another key to sign with. A key is shown once, when it is set."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from milepost.accounts.secret_keys import CannotOpen, SecretKeys
from milepost.db.pool import Connection
from milepost.errors import NotFoundError
from milepost.notifications.connections import note
from milepost.notifications.forms import Kind
from milepost.notifications.sealing import Seals
from milepost.notifications.signing import SigningKeys, key_of, library_key
from milepost.notifications.statements import INTEGRATIONS

SIGNED = (Kind.WEBHOOK, Kind.INTEGRATION)
"""Whose deliveries are signed."""


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key at the only moment it is shown, and until when a former one signs too (UTC).

    ``library_key`` is what a Standard Webhooks library is given to verify with.
    """

    key: str = field(repr=False)
    former_key_until: datetime | None = None

    @property
    def library_key(self) -> str:
        """The same key in the form of Standard Webhooks."""
        return library_key(self.key)


def first_key(brought: str | None) -> ShownKey:
    """A key for what has none yet: the one its owner brings, or a new one. Raises InvalidInput."""
    return ShownKey(key_of(brought))


async def made_key(
    conn: Connection, keys: SecretKeys, account_id: int, connection_id: int
) -> ShownKey:
    """The key of a connection that is made in this transaction: it is shown to nobody later.

    Raises NotFoundError, CannotOpen.
    """
    row = await INTEGRATIONS.keys(
        conn, account_id=account_id, connection_id=connection_id, kinds=list(SIGNED)
    )
    seals = Seals(keys, account_id, connection_id)
    made = None if row is None else seals.open_keys(row["signing_key"], None)
    if made is None:
        raise NotFoundError
    return ShownKey(made.current)


async def set_key(
    conn: Connection,
    keys: SecretKeys,
    account_id: int,
    connection_id: int,
    brought: str | None,
    *,
    actor: str,
    now: datetime,
    kinds: Iterable[Kind] = SIGNED,
) -> ShownKey:
    """Sign with another key from ``now`` on, and for 24 hours with the former one too.

    Raises NotFoundError where the account has no such connection of these kinds, InvalidInput for a
    key that can be none, Conflict where too many former ones are in force. Keys that can't be
    opened any more are dropped.
    """
    key = first_key(brought).key
    which = {"account_id": account_id, "connection_id": connection_id}
    row = await INTEGRATIONS.keys(conn, **which, kinds=list(kinds))
    if row is None:
        raise NotFoundError
    seals = Seals(keys, account_id, connection_id)
    try:
        before = seals.open_keys(row["signing_key"], row["former_key"])
    except CannotOpen:
        before = None
    made = SigningKeys(key) if before is None else before.rotated(key, now)
    await INTEGRATIONS.set_keys(
        conn,
        **which,
        signing_key=seals.seal_key(made.current),
        former_key=seals.seal_former(made.former),
        former_key_until=made.former_until,
    )
    await note(conn, account_id, actor, "connection.signing_key", connection_id)
    return ShownKey(made.current, made.former_until)
