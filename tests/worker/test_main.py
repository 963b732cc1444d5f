"""The worker's loops by themselves."""

import asyncio

import pytest

from milepost.errors import DatabaseUnavailable
from milepost.worker.main import _until


async def test_long_work_is_given_up_when_the_worker_is_to_stop() -> None:
    stop, given_up = asyncio.Event(), asyncio.Event()

    async def backfill() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            given_up.set()

    loop = asyncio.create_task(_until(stop, backfill()))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(loop, 60)
    assert given_up.is_set()


async def test_what_becomes_of_the_work_is_told() -> None:
    async def fails() -> None:
        raise DatabaseUnavailable("gone")

    with pytest.raises(DatabaseUnavailable):
        await _until(asyncio.Event(), fails())
