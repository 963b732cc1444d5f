"""Going through all accounts without holding more than a page of them."""

from collections.abc import AsyncIterator, Callable

import asyncpg

from milepost.db.pool import all_rows

AT_ONCE = 500

Page = Callable[[int, int], AsyncIterator[asyncpg.Record]]
"""``page(after, most)``: rows with the next ``most`` ids beyond ``after``, in their order."""


async def account_by_account(page: Page) -> AsyncIterator[int]:
    """The ``account_id`` of every row that ``page`` gives, in order. Raises DatabaseUnavailable."""
    after = 0
    while True:
        rows = await all_rows(lambda after=after: page(after, AT_ONCE))  # type: ignore[misc]
        for row in rows:
            yield row["account_id"]
        if len(rows) < AT_ONCE:
            return
        after = rows[-1]["account_id"]
