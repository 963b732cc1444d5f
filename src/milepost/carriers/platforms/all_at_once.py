"""Asking about several parcels in one question."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from milepost.carriers.connector import Broken, Found, Item, Outcome, Refused
from milepost.carriers.exchange import Answer
from milepost.errors import CarrierUnreachable

REFUSED_AS_A_WHOLE = frozenset({400, 404, 413, 414, 422})
"""Statuses of a question that one number alone may have spoilt."""


async def all_at_once(
    items: Sequence[Item],
    fetch: Callable[[Sequence[Item]], Awaitable[Answer | Refused | Broken]],
    outcomes: Callable[[Sequence[Item], Answer], Mapping[Item, Outcome]],
) -> Mapping[Item, Outcome] | None:
    """What one answer says about each of ``items``; None where the question itself was refused.

    Then one number may be to blame, and the others are to be asked about by themselves. The raw
    answer is nobody's, for it tells of all and is erased with none of them; a connector that finds
    a parcel's part of it gives that.
    """
    try:
        answer = await fetch(items)
    except CarrierUnreachable as error:
        return dict.fromkeys(items, Broken(str(error)))
    if not isinstance(answer, Answer):
        return dict.fromkeys(items, answer)
    if answer.status in REFUSED_AS_A_WHOLE:
        return None
    return {item: _nobodys(told) for item, told in outcomes(items, answer).items()}


def _nobodys(told: Outcome) -> Outcome:
    return replace(told, raw_type="") if isinstance(told, Found) and not told.raw else told
