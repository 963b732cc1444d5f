"""The limit for checks: a bare aiohttp loop, ``python -m bench.fetching PORT COUNT AT_ONCE``.

It fetches the same bytes from the same carrier, as many at once as the worker does, and prints how
many seconds of the clock and of CPU one took.
"""

import asyncio
import sys
import time

import aiohttp
import orjson
import uvloop

from bench.clones import NUMBER


async def _fetch(port: int, count: int, at_once: int) -> dict[str, float]:
    numbers = iter(range(1, count + 1))
    url = f"http://127.0.0.1:{port}/v1/parcels/{NUMBER}"
    async with aiohttp.ClientSession() as session:

        async def client() -> None:
            for number in numbers:
                async with session.get(f"{url}{number:09}") as response:
                    await response.read()

        cpu, started = time.process_time(), time.perf_counter()
        await asyncio.gather(*(client() for _ in range(at_once)))
        seconds = time.perf_counter() - started
    return {"seconds": seconds / count, "cpu": (time.process_time() - cpu) / count}


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(_fetch(*map(int, sys.argv[1:])))))
