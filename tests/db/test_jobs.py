"""Regular work: one process at a time, and no oftener than it is wanted."""

import asyncio

import pytest

from milepost.db.jobs import JobLost, only_one
from milepost.db.pool import Pool


async def run_out(pool: Pool) -> None:
    await pool.execute("UPDATE job SET lease_until = now() - interval '1 s'")


async def test_of_many_at_once_one_has_the_job(worker_pool: Pool) -> None:
    asked: list[bool] = []
    all_asked = asyncio.Event()

    async def work() -> None:
        async with only_one(worker_pool, "sweep", 600) as turn:
            asked.append(turn is not None)
            # Finished before the last has asked, it would be that one's turn, and rightly.
            if len(asked) == 6:
                all_asked.set()
            await asyncio.wait_for(all_asked.wait(), 120)

    await asyncio.gather(*(work() for _ in range(6)))
    assert asked.count(True) == 1
    async with only_one(worker_pool, "sweep", 60) as again, only_one(worker_pool, "x", 60) as other:
        assert again is not None, "it was finished"
        assert other is not None, "another job"


async def test_finished_work_rests_and_failed_work_is_begun_again(worker_pool: Pool) -> None:
    async with only_one(worker_pool, "sweep", 60, every=3600) as turn:
        assert turn is not None
        turn.outcome = {"lanes": 3}
    async with only_one(worker_pool, "sweep", 60, every=3600) as turn:
        assert turn is None
    row = await worker_pool.fetchrow("SELECT outcome, finished_at >= started_at AS done FROM job")
    assert row is not None
    assert (row["outcome"], row["done"]) == ({"lanes": 3}, True)
    await worker_pool.execute("UPDATE job SET started_at = now() - interval '2 h'")
    with pytest.raises(ValueError):
        async with only_one(worker_pool, "sweep", 60, every=3600):
            raise ValueError("a bug")
    assert await worker_pool.fetchval("SELECT outcome FROM job") == {"error": "ValueError"}
    async with only_one(worker_pool, "sweep", 60, every=3600) as turn:
        assert turn is None, "not at once"
    await run_out(worker_pool)
    async with only_one(worker_pool, "sweep", 60, every=3600) as turn:
        assert turn is not None


async def test_who_was_away_too_long_is_told_and_changes_nothing(worker_pool: Pool) -> None:
    async def stay_away() -> None:
        async with only_one(worker_pool, "sweep", 60) as away:
            assert away is not None
            await away.keep()
            await run_out(worker_pool)
            async with only_one(worker_pool, "sweep", 60) as other:
                assert other is not None
                other.outcome = {"lanes": 1}
            await away.keep()

    with pytest.raises(JobLost):
        await stay_away()
    assert await worker_pool.fetchval("SELECT outcome FROM job") == {"lanes": 1}
