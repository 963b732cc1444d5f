"""Waiting for feeds: one question for all who wait, and everybody hears of their own."""

import asyncio
from contextlib import ExitStack

import pytest

from milepost.db.pool import Pool, tenant
from milepost.notifications.feed_watch import FeedWatch

ACCOUNTS = range(1, 41)


@pytest.fixture
async def feeds(worker_pool: Pool) -> None:
    for account in ACCOUNTS:
        async with tenant(worker_pool, account) as conn:
            await conn.execute(
                "INSERT INTO feed_head (account_id, feed_seq) VALUES ($1, 7)", account
            )


class Counting(FeedWatch):
    """It counts the looks."""

    looks = 0

    async def _heads(self) -> dict[int, int]:
        self.looks += 1
        return await super()._heads()


@pytest.mark.usefixtures("feeds")
async def test_one_question_tells_each_who_waits_and_nobody_else(app_pool: Pool) -> None:
    watch = Counting(app_pool, look_seconds=3600)
    with ExitStack() as waiting:
        behind = [waiting.enter_context(watch.beyond(account, 6)) for account in ACCOUNTS]
        abreast = [waiting.enter_context(watch.beyond(account, 7)) for account in ACCOUNTS]
        unheard_of = waiting.enter_context(watch.beyond(99, 0))
        assert await asyncio.wait_for(asyncio.gather(*behind), 60) == [True] * len(ACCOUNTS)
        assert not any(one.done() for one in (*abreast, unheard_of))
        assert watch.looks == 1
        watch.close()
        assert not any(await asyncio.gather(*abreast, unheard_of))


@pytest.mark.usefixtures("feeds")
async def test_what_comes_later_wakes_who_waits_and_nobody_looks_for_nobody(
    app_pool: Pool, worker_pool: Pool
) -> None:
    watch = Counting(app_pool, look_seconds=0.01)
    with watch.beyond(3, 7) as news, watch.beyond(4, 7) as none:
        async with tenant(worker_pool, 3) as conn:
            await conn.execute("UPDATE feed_head SET feed_seq = 8 WHERE account_id = 3")
        assert await asyncio.wait_for(news, 60)
        assert not none.done()
    async with asyncio.timeout(60):
        while watch._looking is not None:
            await asyncio.sleep(0.01)
    looks = watch.looks
    await asyncio.sleep(0.1)
    assert watch.looks == looks


async def test_a_watch_that_is_closed_lets_nobody_wait(app_pool: Pool) -> None:
    watch = FeedWatch(app_pool)
    watch.close()
    with watch.beyond(1, 0) as news:
        assert await news is False
