"""All accounts, one after the other, however many pages they are."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from milepost.db import accounts
from milepost.db.accounts import account_by_account


@pytest.mark.parametrize("many", [0, 1, 2, 3, 4, 5])
async def test_every_account_comes_once_and_in_order(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "AT_ONCE", 2)
    asked = []

    async def page(after: int, most: int) -> AsyncIterator[Any]:
        asked.append(after)
        for account_id in [one for one in range(10, 10 + many) if one > after][:most]:
            yield {"account_id": account_id}

    assert [one async for one in account_by_account(page)] == list(range(10, 10 + many))
    assert len(asked) == many // 2 + 1
