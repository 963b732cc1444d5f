"""Idempotency keys: one owner, the same answer, and nothing kept of what was undone."""

import asyncio

import asyncpg
import pytest

from milepost.accounts import idempotency
from milepost.accounts.idempotency import StoredAnswer
from milepost.db.pool import Pool, tenant
from milepost.errors import InvalidInput

ANSWER = StoredAnswer(200, {"content-type": "application/json"}, b'{"a": "\xc3\xa9"}')


async def once(
    pool: Pool, account: int, key: str = "k", fingerprint: bytes = b"f"
) -> StoredAnswer | None:
    async with tenant(pool, account) as connection:
        stored = await idempotency.begin(connection, account, key, fingerprint)
        if stored is None:
            await idempotency.finish(connection, account, key, ANSWER)
        return stored


async def test_the_second_gets_the_first_answer(app_pool: Pool, account: int) -> None:
    assert await once(app_pool, account) is None
    assert await once(app_pool, account) == ANSWER
    assert await once(app_pool, account, key="other") is None


async def test_another_request_under_the_key_is_refused(app_pool: Pool, account: int) -> None:
    await once(app_pool, account)
    with pytest.raises(InvalidInput) as caught:
        await once(app_pool, account, fingerprint=b"g")
    assert caught.value.kind == "idempotency_key_reuse"
    assert caught.value.field == ("header", "Idempotency-Key")


@pytest.mark.promise
@pytest.mark.beside
async def test_of_many_at_once_one_does_the_work(app_pool: Pool, account: int) -> None:
    answers = await asyncio.gather(*(once(app_pool, account) for _ in range(50)))
    assert answers.count(None) == 1
    assert answers.count(ANSWER) == 49


async def test_who_fails_leaves_the_key_to_the_next(app_pool: Pool, account: int) -> None:
    begun = asyncio.Event()

    async def failing() -> None:
        async with tenant(app_pool, account) as connection:
            assert await idempotency.begin(connection, account, "k", b"f") is None
            begun.set()
            await asyncio.sleep(0.2)
            raise ConnectionError

    async def next_one() -> StoredAnswer | None:
        await begun.wait()
        return await once(app_pool, account)

    failed, second = await asyncio.gather(failing(), next_one(), return_exceptions=True)
    assert isinstance(failed, ConnectionError)
    assert second is None
    assert await once(app_pool, account) == ANSWER


async def test_accounts_do_not_share_keys(app_pool: Pool, admin_pool: Pool, account: int) -> None:
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('b') RETURNING account_id"
    )
    await once(app_pool, account)
    assert await once(app_pool, other, fingerprint=b"g") is None


async def test_keys_are_forgotten_after_their_time(app_pool: Pool, account: int, dsn: str) -> None:
    for key in ("a", "b", "c"):
        await once(app_pool, account, key=key)
    owner = await asyncpg.connect(dsn)
    await owner.execute("UPDATE idempotency_key SET created_at = now() - interval '47 hours'")
    assert await once(app_pool, account, key="a", fingerprint=b"f") == ANSWER
    await owner.execute("UPDATE idempotency_key SET created_at = now() - interval '49 hours'")
    assert await once(app_pool, account, key="a", fingerprint=b"g") is None
    assert await owner.fetchval("SELECT array_agg(key) FROM idempotency_key") == ["a"]
    await owner.close()


@pytest.mark.parametrize("key", ["", "x" * 256, "a\0b", "é", "\ud800"])
async def test_odd_keys_are_refused(app_pool: Pool, account: int, key: str) -> None:
    with pytest.raises(InvalidInput):
        await once(app_pool, account, key=key)
