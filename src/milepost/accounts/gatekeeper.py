"""Who is calling: API keys and access tokens become a ``Caller``, without a query when it is known.

What the gatekeeper believes is at most ``KEEP_SECONDS`` old, so revoking a key,
suspending an account or changing its limits acts in every process within a second, with nobody
notified.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

from milepost.accounts.credentials import (
    WRONG_CREDENTIALS,
    BasicCredentials,
    is_plain,
    read_authorization,
)
from milepost.accounts.recent import Recent
from milepost.accounts.references import account_of
from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.statements import statements
from milepost.db.pool import Pool, retrying
from milepost.errors import MilepostError, NotAllowed, NotAuthenticated

KEEP_SECONDS = 0.6
SUSPENDED = "The account is suspended."
_NOBODY = bytes(32)
_LONGEST_REFERENCE = 255


@dataclass(frozen=True, slots=True)
class Limits:
    """An account's budgets; 0 is no limit."""

    reads_per_minute: int
    writes_per_minute: int
    writes_per_second: int


@dataclass(frozen=True, slots=True)
class Caller:
    """An account that has shown who it is, and what holds for the key it used."""

    account_id: int
    key_id: int
    account_name: str
    v2_order: str
    limits: Limits
    render_epoch: int
    """A snapshot of a parcel rendered under a lower epoch is stale."""
    integration_id: int | None = None
    """The integration that the key is bound to: what it registers is that one's."""


class Gatekeeper:
    """Answers who a credential belongs to. Raises NotAuthenticated and, suspended, NotAllowed."""

    def __init__(
        self, pool: Pool, secret_keys: SecretKeys, *, keep_seconds: float = KEEP_SECONDS
    ) -> None:
        """``pool`` acts as the application role."""
        self._pool = pool
        self._keys = secret_keys
        self._callers: Recent[Caller] = Recent(keep_seconds)
        self._mark = os.urandom(32)
        # Apart from the callers, so that a flood of wrong ones can't push out the right ones.
        self._refused: Recent[MilepostError] = Recent(keep_seconds, 2_000)

    def known(self, authorization: bytes | None) -> Caller | None:
        """The caller an Authorization header stood for a moment ago; None: ask ``from_header``."""
        return self._callers.get(self._marked(authorization or b""))

    async def from_header(self, authorization: bytes | None) -> Caller:
        """The caller an Authorization header stands for."""
        # Known by the header as it came: reading it costs ten times as much as marking it.
        known = self._marked(authorization or b"")
        caller = self._callers.get(known)
        if caller is not None:
            return caller
        self._refuse_again(known)
        presented = read_authorization(authorization)
        if isinstance(presented, BasicCredentials):
            return await self._recall(known, presented.public_key, presented.secret)
        return await self._recall(known, presented.token, None)

    async def basic(self, public_key: str, secret: str) -> Caller:
        """The caller of a key pair; an unknown key and a wrong secret cost and say the same."""
        known = self._keys.keyed_hash(f"basic {public_key}\0{secret}".encode("utf-8", "replace"))
        return await self._recall(known, public_key, secret)

    async def bearer(self, token: str) -> Caller:
        """The caller of an access token that we issued."""
        known = self._keys.keyed_hash(f"bearer {token}".encode("utf-8", "replace"))
        return await self._recall(known, token, None)

    async def _recall(self, known: bytes, reference: str, secret: str | None) -> Caller:
        self._refuse_again(known)

        async def ask() -> Caller:
            if secret is None:
                return await self._by_token(reference)
            return await self._by_key(reference, secret)

        try:
            return await self._callers.find(known, ask)
        except (NotAuthenticated, NotAllowed) as error:
            self._refused.keep(known, error)
            raise

    def _refuse_again(self, known: bytes) -> None:
        refusal = self._refused.get(known)
        if refusal is not None:
            # A new one each time: an exception raised again would drag all its tracebacks along.
            raise type(refusal)(*refusal.args)

    def _marked(self, authorization: bytes) -> bytes:
        """What stands for a header in memory, which holds no secret as it came."""
        return blake2b(authorization, key=self._mark, digest_size=16).digest()

    async def _by_key(self, public_key: str, secret: str) -> Caller:
        if len(public_key) > _LONGEST_REFERENCE or not is_plain(public_key):
            public_key = ""
        presented = self._keys.keyed_hashes(secret.encode("utf-8", "replace"))
        account_id = account_of(public_key, "mp")
        row = await retrying(
            lambda: statements.find_key(self._pool, account_id=account_id, public_key=public_key)
        )
        return await self._caller(account_id, row, presented)

    async def _by_token(self, token: str) -> Caller:
        if len(token) > _LONGEST_REFERENCE or not is_plain(token):
            token = ""
        presented = self._keys.keyed_hashes(token.encode())
        account_id = account_of(token, "mpt")
        row = await retrying(
            lambda: statements.find_token(self._pool, account_id=account_id, token_hashes=presented)
        )
        return await self._caller(account_id, row, presented)

    async def _caller(self, account_id: int, row: Any, presented: Sequence[bytes]) -> Caller:
        stored = _NOBODY if row is None else row["secret_hash"]
        # A list, so that every comparison is made whatever the first one says.
        same = [compare_digest(stored, one) for one in presented]
        if row is None or not any(same):
            raise NotAuthenticated(WRONG_CREDENTIALS)
        if row["account_status"] != "active":
            raise NotAllowed(SUSPENDED)
        return Caller(
            account_id=account_id,
            key_id=row["key_id"],
            account_name=row["account_name"],
            v2_order=row["v2_order"],
            limits=Limits(
                row["reads_per_minute"], row["writes_per_minute"], row["writes_per_second"]
            ),
            render_epoch=row["render_epoch"],
            integration_id=row["integration_id"],
        )
