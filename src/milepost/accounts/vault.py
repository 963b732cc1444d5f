"""Carrier logins: sealed at rest, an account's own before the operator's.

Setting one renders the parcels anew (they no longer wait for credentials) and wakes their lanes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import orjson
import structlog

from milepost.accounts.recent import Recent
from milepost.accounts.secret_keys import CannotOpen, SecretKeys
from milepost.accounts.statements import statements
from milepost.db.pool import Connection, Pool, retrying, tenant

KEEP_SECONDS = 0.8
OPERATOR = "operator"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """An opened login; ``owner`` (``account:<id>`` or ``operator``) shares one carrier quota."""

    owner: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    version: bytes = field(default=b"", repr=False, compare=False)
    """Another one each time a login is set, the same fields included."""

    @property
    def is_own(self) -> bool:
        """Whether it is the account's own and not the operator's."""
        return self.owner != OPERATOR


class CredentialStore:
    """Keeps and opens carrier logins. Reading takes the app or worker role, setting the admin's."""

    def __init__(
        self, pool: Pool, secret_keys: SecretKeys, *, keep_seconds: float = KEEP_SECONDS
    ) -> None:
        """What is read is at most ``keep_seconds`` old."""
        self._pool = pool
        self._keys = secret_keys
        self._recent: Recent[StoredCredential] = Recent(keep_seconds)

    async def get(self, account_id: int, carrier_code: str) -> StoredCredential | None:
        """The login to ask ``carrier_code`` with for this account: its own, else the operator's."""
        key = f"{account_id} {carrier_code}".encode()
        known = self._recent.get(key)
        if known is not None:
            return known
        asked_at = time.monotonic()
        found = await self._look(account_id, carrier_code)
        # "None" is never remembered: a lane that was just woken for a new login would find no
        # login, and be paused again.
        if found is not None:
            self._recent.keep(key, found, asked_at)
        return found

    async def has(self, account_id: int, carrier_code: str) -> bool:
        """Whether the account could be asked for at that carrier."""
        return await self.get(account_id, carrier_code) is not None

    async def is_current(
        self, account_id: int, carrier_code: str, used: StoredCredential | None
    ) -> bool:
        """Whether the account would be asked for with ``used`` now (None: with no login)."""
        found = await self._look(account_id, carrier_code)
        current = (found is None) == (used is None) and (
            found is None or used is None or found.version == used.version
        )
        if not current:
            self._recent.forget(f"{account_id} {carrier_code}".encode())
        return current

    async def own_version(self, account_id: int, carrier_code: str) -> bytes | None:
        """The version of the account's own login, one that can't be opened included."""
        sealed = await retrying(
            lambda: statements.account_credential(
                self._pool, account_id=account_id, carrier_code=carrier_code
            )
        )
        return None if sealed is None else _version(sealed)

    async def set_for_account(
        self,
        account_id: int,
        carrier_code: str,
        fields: Mapping[str, str] | None,
        lanes: Sequence[str] = (),
    ) -> None:
        """Set, replace or (None) remove an account's own login.

        Wakes ``lanes``: the codes of the parcels it serves, those of this carrier by default.
        """
        owner = f"account:{account_id}"
        sealed = None if fields is None else self._seal(owner, carrier_code, fields)
        login = {"account_id": account_id, "carrier_code": carrier_code}
        codes = list(lanes) or [carrier_code]

        async def write() -> None:
            async with tenant(self._pool, account_id) as connection:
                if sealed is None:
                    await statements.drop_account_credential(connection, **login)
                else:
                    await statements.keep_account_credential(connection, sealed=sealed, **login)
                await statements.raise_account_epoch(connection, account_id=account_id)
                await statements.wake_lane(connection, account_id=account_id, carrier_codes=codes)

        await retrying(write)

    async def change_for_account(
        self,
        connection: Connection,
        account_id: int,
        carrier_code: str,
        change: Callable[[Mapping[str, str]], Mapping[str, str]],
    ) -> Mapping[str, str]:
        """Replace an account's own login by ``change`` of it ({} where it has none).

        In the tenant transaction of ``connection``; two changes wait for each other. The sandbox
        keeps its clock there. Gives the new fields; wakes nothing.
        """
        owner = f"account:{account_id}"
        await statements.lock_account(connection, account_id=account_id)
        sealed = await statements.account_credential(
            connection, account_id=account_id, carrier_code=carrier_code
        )
        fields = self._open(owner, carrier_code, sealed).fields if sealed else {}
        changed = change(fields)
        await statements.keep_account_credential(
            connection,
            account_id=account_id,
            carrier_code=carrier_code,
            sealed=self._seal(owner, carrier_code, changed),
        )
        return changed

    async def set_for_operator(
        self, carrier_code: str, fields: Mapping[str, str] | None, lanes: Sequence[str] = ()
    ) -> None:
        """Set, replace or (None) remove the login that serves every account without its own."""
        sealed = None if fields is None else self._seal(OPERATOR, carrier_code, fields)
        codes = list(lanes) or [carrier_code]

        # Platform and tenant tables never share a transaction; each step bears a repeat.
        async def write() -> None:
            if sealed is None:
                await statements.drop_operator_credential(self._pool, carrier_code=carrier_code)
            else:
                await statements.keep_operator_credential(
                    self._pool, carrier_code=carrier_code, sealed=sealed
                )

        await retrying(write)
        # Lanes first: an answer rendered under the new epoch must not show a lane still closed.
        await retrying(lambda: statements.wake_lanes(self._pool, carrier_codes=codes))
        await retrying(lambda: statements.raise_every_epoch(self._pool))

    async def _look(self, account_id: int, carrier_code: str) -> StoredCredential | None:
        sealed = await retrying(
            lambda: statements.account_credential(
                self._pool, account_id=account_id, carrier_code=carrier_code
            )
        )
        if sealed is not None:
            return self._openable(f"account:{account_id}", carrier_code, sealed)
        sealed = await retrying(
            lambda: statements.operator_credential(self._pool, carrier_code=carrier_code)
        )
        if sealed is not None:
            return self._openable(OPERATOR, carrier_code, sealed)
        return None

    def _openable(self, owner: str, carrier_code: str, sealed: bytes) -> StoredCredential | None:
        """None, and a line in the log, where the key is gone: a login nobody can use is none."""
        try:
            return self._open(owner, carrier_code, sealed)
        except CannotOpen as error:
            log.error("a carrier login can't be opened", carrier_code=carrier_code, exc_info=error)
            return None

    def _seal(self, owner: str, carrier_code: str, fields: Mapping[str, str]) -> bytes:
        return self._keys.seal(orjson.dumps(dict(fields)), _context(owner, carrier_code))

    def _open(self, owner: str, carrier_code: str, sealed: bytes) -> StoredCredential:
        plain = self._keys.open(bytes(sealed), _context(owner, carrier_code))
        return StoredCredential(owner, orjson.loads(plain), _version(sealed))


def _version(sealed: bytes) -> bytes:
    return sha256(bytes(sealed)).digest()


def _context(owner: str, carrier_code: str) -> str:
    """Binds a sealed login to its row: moved to another account or carrier it does not open."""
    return f"carrier credential {owner} {carrier_code}"
