"""P12: who steals the database gets no secret out of it."""

import asyncpg
import pytest

from milepost.accounts import keys as accounts
from milepost.accounts import tokens
from milepost.accounts.gatekeeper import Gatekeeper
from milepost.accounts.secret_keys import SecretKeys, check_fingerprint
from milepost.accounts.vault import CredentialStore
from milepost.db.pool import Pool

MATERIAL = b"canary-of-the-installations-secret-key"
KEYS = SecretKeys((MATERIAL,))
LOGIN = "canary-carrier-login"


async def dump(dsn: str) -> str:
    """Every row of every table as text; bytes as hex digits."""
    owner = await asyncpg.connect(dsn)
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [
        str(row[0])
        for table in tables
        for row in await owner.fetch(f'SELECT t::text FROM "{table[0]}" AS t')
    ]
    await owner.close()
    return "\n".join(rows)


def found(canaries: list[str], dumped: str) -> list[str]:
    """The canaries that can be read, as they are or as bytes."""
    return [one for one in canaries if one in dumped or one.encode().hex() in dumped]


async def fill(app_pool: Pool, admin_pool: Pool, account: int) -> list[str]:
    """A key, a token and two logins; their secrets."""
    await check_fingerprint(app_pool, KEYS)
    new = await accounts.create_key(admin_pool, KEYS, account)
    caller = await Gatekeeper(app_pool, KEYS).basic(new.key.public_key, new.secret_key)
    token = await tokens.issue(app_pool, KEYS, caller)
    store = CredentialStore(admin_pool, KEYS)
    await store.set_for_operator("dhl", {"api_key": LOGIN})
    await store.set_for_account(account, "dhl", {"api_key": LOGIN})
    return [new.secret_key, token, LOGIN, MATERIAL.decode()]


@pytest.mark.promise
@pytest.mark.beside
async def test_a_dump_holds_no_secret(
    dsn: str, app_pool: Pool, admin_pool: Pool, account: int
) -> None:
    canaries = await fill(app_pool, admin_pool, account)
    dumped = await dump(dsn)
    assert "mp_" in dumped
    assert found(canaries, dumped) == []


@pytest.mark.promise
@pytest.mark.beside
async def test_the_check_sees_a_secret_that_is_stored_as_it_is(
    dsn: str, app_pool: Pool, admin_pool: Pool, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: sealing and hashing that change nothing."""
    monkeypatch.setattr(SecretKeys, "keyed_hash", lambda _keys, secret: secret)
    monkeypatch.setattr(SecretKeys, "keyed_hashes", lambda _keys, secret: (secret,))
    monkeypatch.setattr(SecretKeys, "seal", lambda _keys, plain, _context: plain)
    canaries = await fill(app_pool, admin_pool, account)
    assert found(canaries, await dump(dsn)) == canaries[:3]
