"""Waiting for a database that is away, for commands that would else have to be started again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from milepost.errors import DatabaseUnavailable

T = TypeVar("T")

PATIENCE_SECONDS = 60.0


async def patiently(work: Callable[[], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
    """What ``work`` gives; tried again for so long while the database can't be asked."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            return await work()
        except DatabaseUnavailable:
            if time.monotonic() >= give_up:
                raise
            await asyncio.sleep(1)
