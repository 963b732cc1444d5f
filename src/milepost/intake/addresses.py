"""The addresses that carriers push to: each holds a secret, which is one account's at one carrier.

Making, listing and revoking them takes a pool of the admin role, knocking at one the application's.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from milepost.accounts.recent import Recent
from milepost.accounts.references import account_of, is_whole, new_push_secret
from milepost.accounts.secret_keys import SecretKeys
from milepost.carriers.push import OWN, USER, Form, Push
from milepost.carriers.registry import Catalogue
from milepost.carriers.rsa_signature import public_keys
from milepost.db.pool import Pool, retrying, tenant
from milepost.errors import InvalidInput, NotFoundError
from milepost.intake.statements import INTAKE
from milepost.intake.told_rows import CODE

KEEP_SECONDS = 0.6
"""What is believed of a secret is at most so old: revoking one acts in every process within a
second."""
LONGEST_SECRET = 128
LONGEST_LABEL = 100
HINT = 18
"""How many of its letters a secret is known by: account and a few, far from enough to use it."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address as it can be shown at any time.

    ``form`` says in whose form payloads come, ``proof`` how the carrier shows itself.
    """

    address_id: int
    carrier_code: str
    form: str
    hint: str
    label: str
    proof: str
    created_at: datetime
    revoked_at: datetime | None
    last_pushed_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewAddress:
    """An address just made: the only moment its secrets are known.

    ``given`` is what the carrier is to be told besides, by name.
    """

    address: Address
    path: str = field(repr=False)
    given: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Knock:
    """Whose address somebody has knocked at, and with what he shows that he may."""

    account_id: int
    address_id: int
    carrier_code: str
    push: Push
    proof: str
    secret: str = field(default="", repr=False)

    def is_proven(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether it is the carrier that pushes; names of ``headers`` in lower case."""
        return self.push.is_proven(self.proof, self.secret, headers, body)


async def add(
    pool: Pool,
    keys: SecretKeys,
    catalogue: Catalogue,
    account_id: int,
    carrier_code: str,
    proof: str = "",
    label: str = "",
    form: Form | None = None,
    certificate: str = "",
) -> NewAddress:
    """A new address for the pushes of a carrier, which need not be one of the catalogue.

    Without a ``form`` it is the carrier's own, where it has one that we know. ``certificate`` (PEM)
    is the carrier's, for ``rsa``. InvalidInput where it does not push so.
    """
    code = carrier_code.strip().lower()
    form, push = _push_of(catalogue, code, form)
    proof = proof or push.proofs[0]
    if proof not in push.proofs:
        offered = ", ".join(push.proofs)
        raise InvalidInput(f"{code} can't show itself by {proof}, but: {offered}", ("proof",))
    if len(label) > LONGEST_LABEL or not label.isprintable():
        raise InvalidInput(f"a label is at most {LONGEST_LABEL} printable characters", ("label",))
    secret = new_push_secret(account_id)
    shown = _proof_secret(proof, certificate)
    hashed = keys.keyed_hash(secret.encode())
    sealed = None if proof == "address" else keys.seal(shown.encode(), _context(hashed))
    row = await _one(
        pool,
        account_id,
        INTAKE.add_secret,
        carrier_code=code,
        form=form,
        secret_hash=hashed,
        hint=secret[:HINT],
        label=label,
        proof=proof,
        sealed=sealed,
    )
    path = f"/api/milepost/v1/carriers/{code}/push/{secret}"
    return NewAddress(_address(row), path, _given(push, proof, shown))


async def every(pool: Pool, account_id: int, carrier_code: str) -> list[Address]:
    """An account's addresses at a carrier, oldest first, revoked ones too."""

    async def ask() -> list[Address]:
        async with tenant(pool, account_id) as conn:
            rows = INTAKE.list_secrets(conn, account_id=account_id, carrier_code=carrier_code)
            return [_address(row) async for row in rows]

    return await retrying(ask)


async def revoke(pool: Pool, account_id: int, carrier_code: str, address_id: int) -> Address:
    """End an address, in every process within a second; NotFoundError where there is none."""
    row = await _one(
        pool,
        account_id,
        INTAKE.revoke_secret,
        carrier_code=carrier_code,
        push_secret_id=address_id,
    )
    if row is None:
        raise NotFoundError(f"{carrier_code} has no address {address_id}")
    return _address(row)


class Addresses:
    """Answers whose address it is that somebody knocks at. One per process."""

    def __init__(
        self,
        pool: Pool,
        keys: SecretKeys,
        catalogue: Catalogue,
        *,
        keep_seconds: float = KEEP_SECONDS,
    ) -> None:
        """``pool`` acts as the application role."""
        self._pool = pool
        self._keys = keys
        self._catalogue = catalogue
        self._known: Recent[Knock] = Recent(keep_seconds)
        self._unknown: Recent[bool] = Recent(keep_seconds, 2_000)

    async def find(self, carrier_code: str, secret: str) -> Knock:
        """Whose it is. NotFoundError, the same for every reason: a code or secret that is unknown,
        revoked, of another carrier, or of an account that is suspended."""
        account_id = account_of(secret, "mpp") if len(secret) <= LONGEST_SECRET else 0
        if not account_id or not secret.isascii() or not is_whole(secret):
            raise NotFoundError
        key = blake2b(secret.encode(), digest_size=16).digest()
        knock = self._known.get(key)
        if knock is None:
            if self._unknown.get(key):
                raise NotFoundError
            try:
                knock = await self._known.find(key, lambda: self._ask(account_id, secret))
            except NotFoundError:
                self._unknown.keep(key, True)
                raise
        if knock.carrier_code != carrier_code:
            raise NotFoundError
        return knock

    async def _ask(self, account_id: int, secret: str) -> Knock:
        hashes = self._keys.keyed_hashes(secret.encode())
        row = await retrying(
            lambda: INTAKE.secret_of(self._pool, account_id=account_id, hashes=list(hashes))
        )
        push = _push_in(self._catalogue, row["carrier_code"], row["form"]) if row else None
        if push is None:
            raise NotFoundError
        return Knock(
            account_id=account_id,
            address_id=row["push_secret_id"],
            carrier_code=row["carrier_code"],
            push=push,
            proof=row["proof"],
            secret=self._opened(row["sealed"], row["secret_hash"]),
        )

    def _opened(self, sealed: bytes | None, hashed: bytes) -> str:
        return "" if sealed is None else self._keys.open(sealed, _context(hashed)).decode()


def _push_of(catalogue: Catalogue, code: str, form: Form | None) -> tuple[Form, Push]:
    if not CODE.fullmatch(code):
        raise InvalidInput(f"{code[:80]!r} is no carrier code", ("carrier",))
    forms: tuple[Form, ...] = (form,) if form else ("carrier", "milepost")
    for one in forms:
        push = _push_in(catalogue, code, one)
        if push is not None:
            return one, push
    raise InvalidInput(f"nobody has told in what form {code} pushes", ("form",))


def _push_in(catalogue: Catalogue, code: str, form: str) -> Push | None:
    if form == "milepost":
        return OWN
    carrier = catalogue.get(code)
    return carrier.manifest.push if carrier else None


def _proof_secret(proof: str, certificate: str) -> str:
    if proof == "rsa":
        public_keys(certificate)
        return certificate
    if certificate:
        raise InvalidInput("only rsa is proven by a certificate", ("certificate",))
    return secrets.token_urlsafe(32)


def _given(push: Push, proof: str, shown: str) -> dict[str, str]:
    match proof:
        case "header":
            return {"header": push.header, "value": shown}
        case "basic":
            return {"user": USER, "password": shown}
        case "hmac":
            return {"signing key": shown, "signature in": push.signature}
        case "rsa":
            return {"signature in": push.signature}
    return {}


def _context(hashed: bytes) -> str:
    """Binds what is sealed to its row: moved to another address it does not open."""
    return f"push proof {hashed.hex()}"


async def _one(pool: Pool, account_id: int, statement: Any, **parameters: Any) -> Any:
    async def once() -> Any:
        async with tenant(pool, account_id) as conn:
            return await statement(conn, account_id=account_id, **parameters)

    return await retrying(once)


def _address(row: Any) -> Address:
    return Address(
        address_id=row["push_secret_id"],
        carrier_code=row["carrier_code"],
        form=row["form"],
        hint=row["hint"],
        label=row["label"],
        proof=row["proof"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        last_pushed_at=row["last_pushed_at"],
    )
