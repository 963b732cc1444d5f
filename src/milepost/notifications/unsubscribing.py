"""The link in a letter that ends all further ones, without a login.

``mpu_<account>_<hash><seal>``: the account in clear, the hash under which the address is refused,
and 128 bits that only this installation can make. There is nothing personal in it, and nothing to
look up before it is known to be ours. Whoever has the letter has the link; all it can do is what it
says.
"""

import hmac
import re
from dataclasses import dataclass

from milepost.accounts.references import account_digits, account_of
from milepost.accounts.secret_keys import SecretKeys
from milepost.db.pool import Connection, Pool, retrying
from milepost.notifications.mail_address import MailAddress
from milepost.notifications.statements import EMAILS
from milepost.parcels.statements import CHANGES

PATH = "/unsubscribe/"
_PREFIX = "mpu"
_HASH_BYTES = 32
_SEAL_BYTES = 16
_SEALED = re.compile(rf"[0-9a-f]{{{2 * (_HASH_BYTES + _SEAL_BYTES)}}}")


@dataclass(frozen=True, slots=True)
class Unwanted:
    """An address that wants no more letters of an account."""

    account_id: int
    address_hash: bytes


class Links:
    """Makes links, and knows them again, whichever of the configured keys they were made under."""

    def __init__(self, keys: SecretKeys, public_url: str) -> None:
        """``public_url`` is where recipients reach us."""
        self._keys = keys
        self._url = public_url.rstrip("/")

    def to(self, account_id: int, address: MailAddress) -> str:
        """The link in a letter."""
        hashed = address_hashes(self._keys, account_id, address)[0]
        seal = self._keys.keyed_hash(_sealed(account_id, hashed))[:_SEAL_BYTES]
        token = f"{_PREFIX}_{account_digits(account_id)}_{hashed.hex()}{seal.hex()}"
        return f"{self._url}{PATH}{token}"


def address_hashes(keys: SecretKeys, account_id: int, address: MailAddress) -> tuple[bytes, ...]:
    """What stands for an address in an account, under each configured key, the present one first.

    Another account's hash of the same address is another one.
    """
    return keys.keyed_hashes(f"mail address {account_id} {address.compared}".encode())


def read(keys: SecretKeys, token: str) -> Unwanted | None:
    """Whose link it is; None for one that we have not made."""
    account_id = account_of(token, _PREFIX)
    sealed = token.rpartition("_")[2]
    if not account_id or not _SEALED.fullmatch(sealed):
        return None
    hashed, seal = (bytes.fromhex(sealed)[part] for part in _PARTS)
    made = keys.keyed_hashes(_sealed(account_id, hashed))
    if not any(hmac.compare_digest(one[:_SEAL_BYTES], seal) for one in made):
        return None
    return Unwanted(account_id, hashed)


async def refuse(pool: Pool, unwanted: Unwanted) -> None:
    """No more letters of this account to this address; a repeat changes nothing."""
    await retrying(
        lambda: pool.execute(
            "SELECT refuse_letters($1, $2)", unwanted.account_id, unwanted.address_hash
        )
    )


async def lift(
    conn: Connection, keys: SecretKeys, account_id: int, address: MailAddress, actor: str
) -> bool:
    """The recipient has asked for letters again; whether there were none any more.

    ``actor`` says who tells us so. Who it was stays with the audit, the address as its hash.
    """
    hashes = address_hashes(keys, account_id, address)
    found = await EMAILS.lift(conn, account_id=account_id, address_hashes=list(hashes))
    if found is None:
        return False
    await CHANGES.note(
        conn,
        account_id=account_id,
        actor=actor,
        action="emails.unsubscription_lifted",
        parcel_id=None,
        detail={"address_hash": bytes(found).hex()},
    )
    return True


_PARTS = (slice(_HASH_BYTES), slice(_HASH_BYTES, None))


def _sealed(account_id: int, hashed: bytes) -> bytes:
    return f"unsubscribe {account_id} {hashed.hex()}".encode()
