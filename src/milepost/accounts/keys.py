"""Accounts and their API keys, as the operator makes, lists, limits and revokes them.

Everything here takes a pool of the admin role; what an API caller may do is the gatekeeper's.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from milepost.accounts.gatekeeper import Caller, Gatekeeper, Limits
from milepost.accounts.references import NO_ACCOUNT, account_of, new_public_key, new_secret
from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.statements import statements
from milepost.db.pool import Pool, all_rows, retrying
from milepost.errors import Conflict, InvalidInput, NotFoundError

__all__ = ["Account", "ApiKey", "Caller", "Gatekeeper", "Limits", "NewKey"]

LONGEST_NAME = 100
HIGHEST_LIMIT = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Account:
    """A merchant, or whoever keeps parcels apart from others'."""

    account_id: int
    name: str
    status: str
    limits: Limits
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it can be shown at any time."""

    account_id: int
    key_id: int
    public_key: str
    label: str
    v2_order: str
    integration_id: int | None
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only moment its secret is known."""

    key: ApiKey
    secret_key: str = field(repr=False)


async def create_account(pool: Pool, name: str) -> Account:
    """A new account; Conflict when another has that name, which commands go by."""
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name.isdigit():
        raise InvalidInput(
            f"an account's name is 1 to {LONGEST_NAME} printable characters, not only digits",
            ("name",),
        )
    # Two operators at the same moment could still make twins; find_account then asks for the id.
    wanted = {"name": name, "account_id": NO_ACCOUNT}
    if await all_rows(lambda: statements.find_accounts(pool, **wanted)):
        raise Conflict(f"there is an account named {name} already")
    return _account(await retrying(lambda: statements.add_account(pool, name=name)))


async def list_accounts(pool: Pool) -> list[Account]:
    """Every account, oldest first."""
    return [_account(row) for row in await all_rows(lambda: statements.list_accounts(pool))]


async def find_account(pool: Pool, name_or_id: str) -> Account:
    """The account of that name or id; NotFoundError, InvalidInput when several share the name."""
    text = name_or_id.strip()
    account_id = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else NO_ACCOUNT
    found = await all_rows(lambda: statements.find_accounts(pool, name=text, account_id=account_id))
    if not found:
        raise NotFoundError(f"there is no account {text}")
    if len(found) > 1:
        ids = ", ".join(str(row["account_id"]) for row in found)
        raise InvalidInput(
            f"several accounts are named {text}: use one of the ids {ids}", ("name",)
        )
    return _account(found[0])


async def choose_account(pool: Pool, name_or_id: str) -> Account:
    """The named account; with no name given, the only one there is.

    Raises NotFoundError, or InvalidInput where a name is needed.
    """
    if name_or_id.strip():
        return await find_account(pool, name_or_id)
    accounts = await list_accounts(pool)
    if not accounts:
        raise InvalidInput(
            "this installation has no account yet: milepost account create NAME "
            "(another one is meant? MILEPOST_STATE_DIR or MILEPOST_DATABASE_URL names it)",
            ("account",),
        )
    if len(accounts) > 1:
        names = ", ".join(account.name for account in accounts)
        raise InvalidInput(f"name an account with --account (there are: {names})", ("account",))
    return accounts[0]


async def set_suspended(pool: Pool, account_id: int, suspended: bool) -> None:
    """Suspend an account, or lift that; every process heeds it within a second."""
    status = "suspended" if suspended else "active"
    await retrying(lambda: statements.set_status(pool, account_id=account_id, status=status))


async def suspended_accounts(pool: Pool) -> frozenset[int]:
    """Their ids; ``pool`` acts as milepost_worker or milepost_admin."""
    rows = await all_rows(lambda: statements.suspended(pool))
    return frozenset(row["account_id"] for row in rows)


async def set_limits(
    pool: Pool,
    account_id: int,
    *,
    reads: int | None = None,
    writes: int | None = None,
    burst: int | None = None,
) -> Account:
    """Change what is given: reads and writes a minute, writes a second; 0 is no limit."""
    for name, value in (("reads", reads), ("writes", writes), ("burst", burst)):
        if value is not None and not 0 <= value <= HIGHEST_LIMIT:
            raise InvalidInput(f"{name} must be between 0 and {HIGHEST_LIMIT}", (name,))
    row = await retrying(
        lambda: statements.set_limits(
            pool, account_id=account_id, reads=reads, writes=writes, burst=burst
        )
    )
    if row is None:
        raise NotFoundError(f"there is no account {account_id}")
    return _account(row)


async def create_key(
    pool: Pool,
    keys: SecretKeys,
    account_id: int,
    label: str = "",
    integration_id: int | None = None,
) -> NewKey:
    """A new key pair of an account; the secret is shown once and stored as a keyed hash.

    What is registered with it belongs to ``integration_id``, which the caller has found there.
    """
    if len(label) > LONGEST_NAME or not label.isprintable():
        raise InvalidInput(f"a label is at most {LONGEST_NAME} printable characters", ("label",))
    secret = new_secret()
    public_key, secret_hash = new_public_key(account_id), keys.keyed_hash(secret.encode())
    row = await retrying(
        lambda: statements.add_key(
            pool,
            account_id=account_id,
            public_key=public_key,
            secret_hash=secret_hash,
            label=label,
            integration_id=integration_id,
        )
    )
    return NewKey(_key(row), secret)


async def list_keys(pool: Pool, account_id: int) -> list[ApiKey]:
    """An account's keys, oldest first, revoked ones too."""
    rows = await all_rows(lambda: statements.list_keys(pool, account_id=account_id))
    return [_key(row) for row in rows]


async def revoke_key(pool: Pool, public_key: str) -> ApiKey:
    """End a key and every token issued from it, in every process within a second."""
    account_id = account_of(public_key, "mp")
    row = await retrying(
        lambda: statements.revoke_key(pool, account_id=account_id, public_key=public_key)
    )
    return _existing(row, public_key)


async def set_v2_order(pool: Pool, public_key: str, order: Literal["newest", "oldest"]) -> ApiKey:
    """Which end of the statuses this key gets first over v2."""
    account_id = account_of(public_key, "mp")
    row = await retrying(
        lambda: statements.set_v2_order(
            pool, account_id=account_id, public_key=public_key, v2_order=order
        )
    )
    return _existing(row, public_key)


async def set_integration(pool: Pool, public_key: str, integration_id: int | None) -> ApiKey:
    """Bind a key to an integration of its account, which the caller has found there; None: to none.

    It acts in every process within a second.
    """
    account_id = account_of(public_key, "mp")
    row = await retrying(
        lambda: statements.set_integration(
            pool, account_id=account_id, public_key=public_key, integration_id=integration_id
        )
    )
    return _existing(row, public_key)


def _existing(row: Any, public_key: str) -> ApiKey:
    if row is None:
        raise NotFoundError(f"there is no key {public_key}")
    return _key(row)


def _account(row: Any) -> Account:
    limits = Limits(row["reads_per_minute"], row["writes_per_minute"], row["writes_per_second"])
    return Account(row["account_id"], row["name"], row["status"], limits, row["created_at"])


def _key(row: Any) -> ApiKey:
    return ApiKey(
        account_id=row["account_id"],
        key_id=row["key_id"],
        public_key=row["public_key"],
        label=row["label"],
        v2_order=row["v2_order"],
        integration_id=row["integration_id"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
