"""Telling what carriers brought, and asking those that tell changes when they are asked."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from milepost.intake.turns import Intake, Turn

TURNS_AT_ONCE = 16
IDLE_SECONDS = 0.5

Survived = Callable[[str], contextlib.AbstractContextManager[None]]
Pause = Callable[[float, asyncio.Event], Awaitable[None]]


async def take_turns(intake: Intake, stop: asyncio.Event, survived: Survived, pause: Pause) -> None:
    """Take the turns that are due, each in its own task; one is in hand once per process."""
    in_hand: dict[Turn, asyncio.Task[None]] = {}

    async def take(turn: Turn) -> None:
        try:
            with survived("what a carrier told could not be told on"):
                await intake.take(turn)
        finally:
            in_hand.pop(turn, None)

    while not stop.is_set():
        started = 0
        with survived("turns could not be read"):
            for turn in await intake.due(TURNS_AT_ONCE * 2):
                if turn not in in_hand and len(in_hand) < TURNS_AT_ONCE:
                    in_hand[turn] = asyncio.create_task(take(turn))
                    started += 1
        await pause(IDLE_SECONDS if not started else 0.02, stop)
    await asyncio.gather(*in_hand.values(), return_exceptions=True)
