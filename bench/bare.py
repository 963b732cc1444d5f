"""The limit for the API: constant bytes from a bare ASGI app, on the same server and settings.

``python -m bench.bare BYTES PORT``.
"""

import os
import sys
from typing import Any

from milepost.cli.api_process import server
from milepost.settings import Settings

_BYTES = "BENCH_BYTES"


def application() -> Any:
    """What the server's processes import and call."""
    body = b"x" * int(os.environ[_BYTES])
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    whole = {"type": "http.response.body", "body": body}

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send(start)
        await send(whole)

    return answer


if __name__ == "__main__":
    os.environ[_BYTES] = sys.argv[1]
    server("bench.bare:application", Settings(port=int(sys.argv[2]))).serve()
