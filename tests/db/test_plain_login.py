"""A login without any right to make roles, as a hosted PostgreSQL gives it."""

import re
from collections.abc import AsyncIterator

import pytest
from tests.conftest import execute

from milepost.db.migrate import migrate
from milepost.db.pool import Role, open_pool
from milepost.settings import Settings

ROLES: tuple[Role, ...] = ("milepost_app", "milepost_worker", "milepost_admin")


@pytest.fixture
async def plain_dsn(postgres: str, migrated_template: str) -> AsyncIterator[str]:
    """An empty database of a login that was made a member of the three roles."""
    assert migrated_template, "the roles are the server's: some migration has made them"
    await execute(
        postgres,
        "CREATE ROLE plain LOGIN",
        f"GRANT {', '.join(ROLES)} TO plain",
        "CREATE DATABASE plain OWNER plain",
    )
    yield re.sub(r"//milepost@/milepost\?", "//plain@/plain?", postgres)
    await execute(postgres, "DROP DATABASE plain WITH (FORCE)", "DROP ROLE plain")


async def test_it_can_migrate_and_act_as_each_role(plain_dsn: str, settings: Settings) -> None:
    await migrate(plain_dsn)
    for role in ROLES:
        async with await open_pool(plain_dsn, role, settings) as pool:
            row = await pool.fetchrow(
                "SELECT current_user AS acting, rolbypassrls FROM pg_roles "
                "WHERE rolname = current_user"
            )
            assert row is not None
            assert tuple(row) == (role, False)
