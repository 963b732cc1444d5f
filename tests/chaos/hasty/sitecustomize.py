"""A planted fault: the API answers first and commits half a second later.

Python imports this module by its name wherever the folder is on its path; nothing else is changed.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

BEHIND = 0.5
"""Seconds between the answer and the commit."""


def plant() -> None:
    from milepost.api import idempotent
    from milepost.db.pool import Connection, Pool, roll_back

    later: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def hasty(pool: Pool, account_id: int) -> AsyncIterator[Connection]:
        connection = await pool.acquire()
        try:
            await connection.execute(f"BEGIN; SET LOCAL milepost.account_id = '{account_id}'")
            yield connection
        except BaseException:
            await roll_back(connection)
            await pool.release(connection)
            raise

        async def commit() -> None:
            await asyncio.sleep(BEHIND)
            await connection.execute("COMMIT")
            await pool.release(connection)

        task = asyncio.create_task(commit())
        later.add(task)
        task.add_done_callback(later.discard)

    vars(idempotent)["tenant"] = hasty


if "milepost.cli.api_process" in sys.orig_argv:
    plant()
