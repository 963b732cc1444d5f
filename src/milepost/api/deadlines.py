"""Requests that take too long, or wait too long for the database, are ended: one timer for all.

``asyncio.timeout`` makes and cancels a timer for every request, which cost as much as finding out
who calls.
"""

import asyncio
import math
import time
from asyncio import Task
from typing import Any

from milepost.db import patience
from milepost.db.patience import ANSWER_SECONDS, Patience

PRECISION_SECONDS = 0.1
"""A deadline strikes up to so much late."""


class Deadlines:
    """The deadlines of this process's requests, looked at ten times a second."""

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._looking = False

    def start(self, seconds: float) -> "Deadline":
        """The current task is cancelled after ``seconds``, unless the deadline was closed; its time
        for the database starts now."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - only coroutines have deadlines
        deadline = Deadline(task, time.monotonic(), seconds)
        self._open.add(deadline)
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(PRECISION_SECONDS, self._look)
        return deadline

    def close(self, deadline: "Deadline") -> None:
        """It can't strike any more."""
        self._open.discard(deadline)
        deadline.answer_by = math.inf

    def _look(self) -> None:
        now = time.monotonic()
        for deadline in self._open:
            deadline.end_wait_if_late(now)
            deadline.strike_if_late(now)
        self._looking = bool(self._open)
        if self._looking:
            asyncio.get_running_loop().call_later(PRECISION_SECONDS, self._look)


class Deadline(Patience):
    """When one request's task is cancelled; ``move`` it as the request goes on."""

    __slots__ = ("_at", "_cancelled_before", "_struck")

    def __init__(self, task: "Task[Any]", started: float, seconds: float) -> None:
        self.task = task
        self.answer = None
        self.answer_by = started + ANSWER_SECONDS
        self._at = started + seconds
        self._struck = False
        self._cancelled_before = task.cancelling()

    def move(self, seconds: float) -> None:
        """From now on it is so many seconds ahead."""
        self._at = time.monotonic() + seconds

    def take(self, seconds: float) -> None:
        """The request goes on for so long, and each of its questions has a time of its own."""
        self.answer_by = math.inf
        self.move(seconds)

    def strike_if_late(self, now: float) -> None:
        """Cancel the task, once."""
        if now >= self._at and not self._struck:
            self._struck = True
            self.task.cancel()

    def struck(self) -> bool:
        """Whether a cancellation that was just caught is this deadline's: then it is taken back."""
        if not self._struck:
            return False
        self._struck = False
        return self.task.uncancel() <= self._cancelled_before


def deadline_of_request() -> Deadline | None:
    """Of the request that is being answered; None where no guard keeps its time."""
    found = patience.of_request.get()
    return found if isinstance(found, Deadline) else None
