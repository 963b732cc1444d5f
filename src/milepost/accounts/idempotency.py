"""Idempotency keys: a repeated write gets the first answer, byte for byte.

The key is taken in the transaction of the write itself, so the answer and what it tells about are
kept together or not at all, and a concurrent repeat waits for the first to end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from milepost.accounts.statements import statements
from milepost.db.pool import Connection
from milepost.errors import InvalidInput

KEEP_HOURS = 48
LONGEST_KEY = 255
_PURGED_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it went out, and the parcel it tells about, if any."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    parcel_id: int | None = None


async def begin(
    connection: Connection,
    account_id: int,
    key: str,
    fingerprint: bytes,
    *,
    keep_hours: int = KEEP_HOURS,
) -> StoredAnswer | None:
    """Take ``key`` for the open tenant transaction: None when it is ours, else the first answer.

    ``fingerprint`` stands for the request; another one under the same key is InvalidInput of the
    kind ``idempotency_key_reuse``. Waits for a concurrent holder (at most the lock timeout).
    """
    field_path = ("header", "Idempotency-Key")
    if not 0 < len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise InvalidInput(f"must be 1 to {LONGEST_KEY} printable ASCII characters", field_path)
    held = await statements.begin_idempotent(
        connection, account_id=account_id, key=key, fingerprint=fingerprint, keep_hours=keep_hours
    )
    if held is None:
        await purge(connection, account_id, keep_hours=keep_hours)
        return None
    if bytes(held["fingerprint"]) != fingerprint:
        raise InvalidInput(
            "was used before with another request", field_path, "idempotency_key_reuse"
        )
    if held["status"] is None:
        return None
    return StoredAnswer(held["status"], held["headers"] or {}, held["body"] or b"")


async def finish(connection: Connection, account_id: int, key: str, answer: StoredAnswer) -> None:
    """Keep the answer under a key that ``begin`` gave us, in the same transaction."""
    await statements.finish_idempotent(
        connection,
        account_id=account_id,
        key=key,
        status=answer.status,
        headers=dict(answer.headers),
        body=answer.body,
        parcel_id=answer.parcel_id,
    )


async def purge(
    connection: Connection,
    account_id: int,
    *,
    keep_hours: int = KEEP_HOURS,
    at_most: int = _PURGED_AT_ONCE,
) -> int:
    """Forget the account's oldest answers past their time; how many. ``begin`` calls it."""
    gone: int = await statements.purge_idempotent(
        connection, account_id=account_id, keep_hours=keep_hours, at_most=at_most
    )
    return gone


async def forget_parcel(
    connection: Connection, account_id: int, parcel_id: int, number: bytes
) -> int:
    """Forget the answers that tell about one parcel; how many.

    ``number`` is its tracking number as the answers write it.
    """
    gone: int = await statements.forget_answers(
        connection, account_id=account_id, parcel_id=parcel_id, number=number
    )
    return gone
