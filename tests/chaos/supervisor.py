"""Who is killed, and when; what the product does not restart itself is restarted at once."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil
from tests.chaos.installation import Installation

KINDS = {
    # The server's main process, or one of those that answer.
    "api": 6,
    "worker": 7,
    "backend": 3,
    "postmaster": 2,
    # Told to stop in order, and started again by the parent.
    "restart": 1,
    # The whole installation, parent and database included.
    "everything": 1,
}
"""Of twenty kills."""


def kill(victims: Sequence[psutil.Process]) -> int:
    """SIGKILL to all at once; how many were still there."""
    killed = 0
    for victim in victims:
        with suppress(psutil.Error):
            victim.kill()
            killed += 1
    return killed


class Supervisor:
    """Kills parts of ``house`` at random moments."""

    def __init__(self, house: Installation, seed: int) -> None:
        self.house = house
        self.dice = random.Random(seed)
        self.kills: Counter[str] = Counter()

    def plan(self, count: int) -> list[str]:
        """``count`` kills of all kinds in their proportion, shuffled."""
        kinds = [kind for kind, share in KINDS.items() for _ in range(share)]
        full = kinds * (count // len(kinds)) + self.dice.sample(kinds, count % len(kinds))
        self.dice.shuffle(full)
        return full

    async def run(self, count: int, pause: tuple[float, float]) -> None:
        """Kill ``count`` times."""
        for kind in self.plan(count):
            await asyncio.sleep(self.dice.uniform(*pause))
            if kind == "everything":
                while kill(self.house.everything()):
                    await asyncio.sleep(0.05)
                await asyncio.to_thread(self.house.start)
            elif kind == "restart":
                for server in self._postmaster():
                    with suppress(psutil.Error):
                        server.send_signal(signal.SIGINT)
            else:
                await self._kill_one(kind)
            self.kills[kind] += 1

    async def _kill_one(self, kind: str) -> None:
        """Waits for a victim: what was killed a moment ago may not be back yet."""
        find: Callable[[], Sequence[psutil.Process]] = {
            "api": self._api,
            "worker": self.house.workers,
            "backend": self.house.backends,
            "postmaster": self._postmaster,
        }[kind]
        for _ in range(1200):
            found = [one for one in find() if one.pid != os.getpid()]
            if found and kill([self.dice.choice(found)]):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(
            f"there is no {kind} to kill: it did not come back\n{self.house.last_words()}"
        )

    def _api(self) -> Sequence[psutil.Process]:
        mains, answering = self.house.api_main(), self.house.api_processes()
        return mains if mains and self.dice.random() < 0.3 else answering

    def _postmaster(self) -> Sequence[psutil.Process]:
        found = self.house.postmaster()
        return [found] if found else []
