"""Accounts and keys as the operator handles them."""

import pytest

from milepost.accounts import keys as accounts
from milepost.accounts.secret_keys import SecretKeys
from milepost.db.pool import Pool
from milepost.errors import Conflict, InvalidInput, NotFoundError

KEYS = SecretKeys((b"k" * 32,))


async def test_accounts_are_made_found_and_limited(admin_pool: Pool) -> None:
    made = await accounts.create_account(admin_pool, " Acme & Söhne ")
    assert made.name == "Acme & Söhne"
    assert await accounts.find_account(admin_pool, made.name) == made
    assert await accounts.find_account(admin_pool, str(made.account_id)) == made
    with pytest.raises(Conflict):
        await accounts.create_account(admin_pool, "Acme & Söhne")
    for absent in ("nobody", "999", "9" * 30, "²"):
        with pytest.raises(NotFoundError):
            await accounts.find_account(admin_pool, absent)
    limited = await accounts.set_limits(admin_pool, made.account_id, reads=0, writes=7)
    assert limited.limits == accounts.Limits(0, 7, 15)
    with pytest.raises(InvalidInput):
        await accounts.set_limits(admin_pool, made.account_id, burst=-1)
    with pytest.raises(NotFoundError):
        await accounts.set_limits(admin_pool, made.account_id + 1, burst=1)
    await accounts.set_suspended(admin_pool, made.account_id, True)
    assert [one.status for one in await accounts.list_accounts(admin_pool)] == ["suspended"]


async def test_a_missing_name_is_asked_for_where_it_is_needed(admin_pool: Pool) -> None:
    with pytest.raises(InvalidInput, match="no account yet: milepost account create NAME"):
        await accounts.choose_account(admin_pool, "")
    only = await accounts.create_account(admin_pool, "first")
    assert await accounts.choose_account(admin_pool, " ") == only
    await accounts.create_account(admin_pool, "second")
    with pytest.raises(InvalidInput, match="there are: first, second"):
        await accounts.choose_account(admin_pool, "")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00", "x" * 101, "42"])
async def test_odd_names_are_refused(admin_pool: Pool, name: str) -> None:
    with pytest.raises(InvalidInput):
        await accounts.create_account(admin_pool, name)


async def test_keys_are_made_listed_set_and_revoked(admin_pool: Pool, account: int) -> None:
    first = await accounts.create_key(admin_pool, KEYS, account, "shop")
    second = await accounts.create_key(admin_pool, KEYS, account)
    assert first.secret_key not in repr(first)
    listed = await accounts.list_keys(admin_pool, account)
    assert [one.public_key for one in listed] == [first.key.public_key, second.key.public_key]
    changed = await accounts.set_v2_order(admin_pool, first.key.public_key, "oldest")
    assert changed.v2_order == "oldest"
    revoked = await accounts.revoke_key(admin_pool, first.key.public_key)
    assert revoked.revoked_at is not None
    again = await accounts.revoke_key(admin_pool, first.key.public_key)
    assert again.revoked_at == revoked.revoked_at
    for unknown in ("", "mp_1_x", "nonsense"):
        with pytest.raises(NotFoundError):
            await accounts.revoke_key(admin_pool, unknown)


async def test_the_application_role_can_make_neither(app_pool: Pool) -> None:
    import asyncpg

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app_pool.execute("INSERT INTO account (name) VALUES ('x')")
    assert await app_pool.fetch("SELECT * FROM api_key") == []
