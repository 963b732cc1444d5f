"""Telling subscribers: what happened is fanned out, and what is due is delivered."""

import asyncio
import contextlib
from collections.abc import Callable
from time import monotonic

from milepost.notifications.deliver import Deliverer
from milepost.notifications.fan_out import FanOut
from milepost.notifications.held import Lane

ACCOUNTS_AT_ONCE = 4
LANES_AT_ONCE = 512
"""A lane whose subscriber hangs is in hand for as long as an attempt may take, and costs next to
nothing meanwhile: were there few, those that hang would keep the others waiting. One that is dead
is tried for 15 s in 5 minutes, so this is enough for 10,000 of them."""
LOOK_SECONDS = 0.05
"""How long what happened waits for somebody to look: most of the way of a quiet delivery."""
FAULT_SECONDS = 0.5
"""For how long what could not be told, or not even read, is left alone."""

Survived = Callable[[str], contextlib.AbstractContextManager[None]]


async def tell(
    fan_out: FanOut, deliverer: Deliverer, stop: asyncio.Event, survived: Survived
) -> None:
    """Fan out and deliver until ``stop``, then finish what is under way."""
    hint = asyncio.Event()
    await asyncio.gather(
        _fan_out(fan_out, hint, stop, survived), _deliver(deliverer, hint, stop, survived)
    )


async def _fan_out(
    fan_out: FanOut, hint: asyncio.Event, stop: asyncio.Event, survived: Survived
) -> None:
    """An account after the other, a few side by side, so that a busy one holds up nobody."""
    beyond = 0
    rests: dict[int, float] = {}
    while not stop.is_set():
        told = 0
        pause = FAULT_SECONDS
        with survived("what happened could not be told"):
            accounts = await fan_out.waiting(beyond, ACCOUNTS_AT_ONCE)
            rests = {one: until for one, until in rests.items() if until > monotonic()}
            ready = [one for one in accounts if one not in rests]
            counts = await asyncio.gather(*map(fan_out.tell, ready), return_exceptions=True)
            told = sum(count for count in counts if isinstance(count, int))
            if told:
                hint.set()
            pause = 0 if told or beyond else LOOK_SECONDS
            beyond = accounts[-1] if len(accounts) == ACCOUNTS_AT_ONCE else 0
            faults = {
                one: fault
                for one, fault in zip(ready, counts, strict=True)
                if isinstance(fault, BaseException)
            }
            # Its own fault must not slow the others down, nor fill the log.
            rests |= dict.fromkeys(faults, monotonic() + FAULT_SECONDS)
            for fault in faults.values():
                raise fault
        if not told or pause:
            await _pause(pause, stop)


async def _deliver(
    deliverer: Deliverer, hint: asyncio.Event, stop: asyncio.Event, survived: Survived
) -> None:
    """Work on the lanes that are due, each in its own task; one is in hand once per process."""
    in_hand: dict[Lane, asyncio.Task[None]] = {}

    async def work(lane: Lane) -> None:
        try:
            with survived("a subscriber could not be told"):
                await deliverer.work(lane, stop)
        finally:
            in_hand.pop(lane, None)

    while not stop.is_set():
        hint.clear()
        started = 0
        with survived("lanes could not be read"):
            if len(in_hand) < LANES_AT_ONCE:
                for lane in await deliverer.due(LANES_AT_ONCE * 2):
                    if lane not in in_hand and len(in_hand) < LANES_AT_ONCE:
                        in_hand[lane] = asyncio.create_task(work(lane))
                        started += 1
        if not started:
            await _hinted(hint, LOOK_SECONDS)
    await asyncio.gather(*in_hand.values(), return_exceptions=True)


async def _hinted(hint: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(hint.wait(), seconds)


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
