"""Children: kept alive, and stopped whenever that is asked."""

import asyncio
import os

from milepost.cli.processes import Child


async def test_a_child_told_to_stop_while_it_starts_stops() -> None:
    child = Child("sleeper", "none", dict(os.environ))
    child._command = ["sleep", "60"]
    keeping = asyncio.create_task(child.keep(lambda: None))
    await asyncio.sleep(0)
    await child.stop(5)
    async with asyncio.timeout(60):
        await keeping
