"""Telling subscribers: what happened is fanned out, and what is due is delivered."""

import asyncio
import contextlib
from collections.abc import Callable

from milepost.notifications.deliver import Deliverer
from milepost.notifications.fan_out import FanOut
from milepost.notifications.held import Lane

ACCOUNTS_AT_ONCE = 4
LANES_AT_ONCE = 64
LOOK_SECONDS = 0.05
"""How long what happened waits for somebody to look: most of the way of a quiet delivery."""
FAULT_SECONDS = 0.5

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
    while not stop.is_set():
        told = 0
        pause = FAULT_SECONDS
        with survived("what happened could not be told"):
            accounts = await fan_out.waiting(beyond, ACCOUNTS_AT_ONCE)
            counts = await asyncio.gather(*map(fan_out.tell, accounts), return_exceptions=True)
            told = sum(count for count in counts if isinstance(count, int))
            if told:
                hint.set()
            pause = 0 if told or beyond else LOOK_SECONDS
            beyond = accounts[-1] if len(accounts) == ACCOUNTS_AT_ONCE else 0
            for fault in counts:
                if isinstance(fault, BaseException):
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
