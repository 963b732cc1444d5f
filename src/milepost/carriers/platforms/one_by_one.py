"""Asking about several parcels, each by itself."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from milepost.carriers.connector import Broken, Found, Item, Outcome, Refused
from milepost.carriers.exchange import Answer
from milepost.errors import CarrierUnreachable, NoSlot

Fetch = Callable[[Item], Awaitable[Answer | Refused | Broken]]


async def one_by_one(
    items: Sequence[Item],
    fetch: Fetch,
    outcome: Callable[[Item, Answer], Outcome],
) -> Mapping[Item, Outcome]:
    """Ask item by item; after a refusal or a fault that concerns all, the rest is not asked.

    ``fetch`` gives an answer, or the outcome where there is none (no token could be had). Items
    beyond the quota have no outcome, and those before keep theirs: asked about again and again,
    a number in the middle would never have its answer. Raises NoSlot where nothing was asked.
    """
    outcomes: dict[Item, Outcome] = {}
    for item in items:
        try:
            outcomes[item] = told = await _one(item, fetch, outcome)
        except NoSlot:
            if not outcomes:
                raise
            return outcomes
        if isinstance(told, Refused) or (isinstance(told, Broken) and told.lane_wide):
            return {one: outcomes.get(one, told) for one in items}
    return outcomes


async def _one(item: Item, fetch: Fetch, outcome: Callable[[Item, Answer], Outcome]) -> Outcome:
    try:
        answer = await fetch(item)
    except CarrierUnreachable as error:
        return Broken(str(error))
    if not isinstance(answer, Answer):
        return answer
    told = outcome(item, answer)
    if isinstance(told, Found) and told.raw_type:
        return replace(told, raw=told.raw or answer.body)
    return told
