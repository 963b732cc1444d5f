from milepost.db.pool import Pool, tenant


async def test_a_tenant_sees_only_itself(app_pool: Pool, account: int, admin_pool: Pool) -> None:
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('b') RETURNING account_id"
    )
    async with tenant(app_pool, account) as connection:
        rows = await connection.fetch("SELECT account_id FROM account")
    assert [row["account_id"] for row in rows] == [account]
    assert other != account
    assert await app_pool.fetchval("SELECT count(*) FROM account") == 0
