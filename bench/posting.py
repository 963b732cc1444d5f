"""The limit for deliveries: a bare aiohttp loop.

``python -m bench.posting PORT COUNT AT_ONCE BYTES`` posts as many bytes to the same subscriber, as
many at once as the worker does, and prints how many seconds of the clock and of CPU one took.
"""

import asyncio
import sys
import time

import aiohttp
import orjson
import uvloop


async def _post(port: int, count: int, at_once: int, size: int) -> dict[str, float]:
    numbers = iter(range(count))
    url, body = f"http://127.0.0.1:{port}/hook", b"x" * size
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:

        async def client() -> None:
            for _ in numbers:
                async with session.post(url, data=body, headers=headers) as response:
                    await response.read()

        cpu, started = time.process_time(), time.perf_counter()
        await asyncio.gather(*(client() for _ in range(at_once)))
        seconds = time.perf_counter() - started
    return {"seconds": seconds / count, "cpu": (time.process_time() - cpu) / count}


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(_post(*map(int, sys.argv[1:])))))
