"""Rewrites ``distribution.golden.sql``: ``python tests/db/rewrite_distribution.py``.

Read the diff before you commit it: a new table or function is spread by it, or is not.
"""

import asyncio
import shutil
import sys
from pathlib import Path

import asyncpg

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.ready_cluster import make_state_dir

from milepost.db.distribute import pending
from milepost.db.embedded import EmbeddedPostgres
from milepost.db.migrate import migrate
from milepost.settings import Settings

FILE = Path(__file__).with_name("distribution.golden.sql")
SHARDS = 64


async def statements(dsn: str) -> str:
    """What ``milepost db distribute --dry-run`` prints for this database."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "public"})
    try:
        return "".join(f"{step.sql};\n" for step in await pending(connection, SHARDS))
    finally:
        await connection.close()


def main() -> None:
    state_dir = make_state_dir()
    server = EmbeddedPostgres(Settings(state_dir=state_dir))
    try:
        dsn = server.start()
        asyncio.run(migrate(dsn))
        FILE.write_text(asyncio.run(statements(dsn)))
    finally:
        server.stop()
        shutil.rmtree(state_dir)


if __name__ == "__main__":
    main()
