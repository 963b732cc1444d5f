"""Carrier logins: sealed, the account's own first, bound to their row."""

import asyncpg
import pytest

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore, StoredCredential
from milepost.db.pool import Pool, tenant

KEYS = SecretKeys((b"k" * 32,))
OWN, SHARED = {"api_key": "canary-own"}, {"api_key": "canary-shared"}


async def test_own_before_shared(app_pool: Pool, admin_pool: Pool, account: int) -> None:
    store, setting = CredentialStore(app_pool, KEYS), CredentialStore(admin_pool, KEYS)
    assert await store.get(account, "dhl") is None
    assert not await store.has(account, "dhl")
    await setting.set_for_operator("dhl", SHARED)
    assert await store.get(account, "dhl") == StoredCredential("operator", SHARED)
    await setting.set_for_account(account, "dhl", OWN)
    fresh = CredentialStore(app_pool, KEYS)
    assert await fresh.get(account, "dhl") == StoredCredential(f"account:{account}", OWN)
    assert await fresh.get(account, "postnl") is None
    assert await fresh.get(account + 1, "dhl") == StoredCredential("operator", SHARED)
    await setting.set_for_account(account, "dhl", None)
    await setting.set_for_operator("dhl", None)
    assert await CredentialStore(app_pool, KEYS).get(account, "dhl") is None


async def test_the_worker_reads_too(worker_pool: Pool, admin_pool: Pool, account: int) -> None:
    await CredentialStore(admin_pool, KEYS).set_for_account(account, "dhl", OWN)
    assert await CredentialStore(worker_pool, KEYS).has(account, "dhl")


async def test_a_login_printed_shows_nothing() -> None:
    assert "canary" not in repr(StoredCredential("operator", OWN))


async def test_moved_to_another_account_it_does_not_open(
    app_pool: Pool, admin_pool: Pool, account: int, dsn: str
) -> None:
    await CredentialStore(admin_pool, KEYS).set_for_account(account, "dhl", OWN)
    owner = await asyncpg.connect(dsn)
    await owner.execute("UPDATE carrier_credential SET account_id = account_id + 1")
    await owner.close()
    assert await CredentialStore(app_pool, KEYS).get(account + 1, "dhl") is None


async def paused(pool: Pool, account: int) -> None:
    async with tenant(pool, account) as connection:
        await connection.execute(
            "INSERT INTO lane (account_id, carrier_code, turn_at, paused_until, state) "
            "VALUES ($1, 'dhl', now() + interval '1 day', now() + interval '1 day', 'paused')",
            account,
        )


@pytest.mark.parametrize("shared", [True, False])
async def test_a_new_login_wakes_what_waits_and_renders_anew(
    admin_pool: Pool, account: int, shared: bool
) -> None:
    await paused(admin_pool, account)
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    )
    store = CredentialStore(admin_pool, KEYS)
    if shared:
        await store.set_for_operator("dhl", SHARED)
    else:
        await store.set_for_account(account, "dhl", OWN)
    lane = await admin_pool.fetchrow(
        "SELECT turn_at <= now() AS due, paused_until, state FROM lane"
    )
    assert lane is not None
    assert tuple(lane) == (True, None, "open")
    epochs = {
        row["account_id"]: row["render_epoch"]
        for row in await admin_pool.fetch("SELECT account_id, render_epoch FROM account")
    }
    assert epochs == {account: 2, other: 2 if shared else 1}
