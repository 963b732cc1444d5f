"""What is told of what a look has seen."""

import pytest
from tests.notifications.town import Town, say, scan

from milepost.notifications import fan_out
from milepost.notifications.fan_out import FanOut


@pytest.mark.parametrize("few", [500, 0])
async def test_what_was_seen_is_told_and_what_comes_meanwhile_with_the_next_look(
    town: Town, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Beyond ``FEW`` nothing is seen but whose it is, and all that is there by then is told."""
    monkeypatch.setattr(fan_out, "FEW", few)
    parcel = await town.register()
    await town.observe(parcel, scan(30, "accepted"))
    assert await town.fan_out.waiting(0, 10) == [town.account]
    assert await town.fan_out.waiting(town.account, 10) == []
    assert await town.fan_out.waiting(0, 10) == [town.account]
    await town.observe(parcel, scan(20, "sorted"))
    assert await town.fan_out.tell(town.account) == (2 if few else 3)
    assert await town.fan_out.waiting(0, 10) == ([town.account] if few else [])
    assert await town.fan_out.tell(town.account) == (1 if few else 0)
    assert [told[1:3] for told in await town.feed()] == [(parcel, 1), (parcel, 2), (parcel, 3)]


async def test_what_another_told_meanwhile_is_not_told_twice(town: Town) -> None:
    await town.register()
    other = FanOut(town.pool, town.fan_out._renderer, say)
    for one in (town.fan_out, other):
        assert await one.waiting(0, 10) == [town.account]
    assert await town.fan_out.tell(town.account) == 1
    assert await other.tell(town.account) == 0
    assert len(await town.feed()) == 1
