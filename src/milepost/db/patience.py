"""How long one request waits for the database: all that it asks shares one time.

What is asked alone has ``ANSWER_SECONDS``; a request asks several things one after the other (who
calls, what is left of the budget, what it came for), and its answer is promised within 3 s. So its
time starts when it comes in, and each question gets what is left of it.

A request's time is that of its own task. Contexts are copied into tasks, but a question that many
requests share must not end with the time of the one that happened to ask first: it has a time of
its own, and each of those that wait for it stops waiting in its own (``answered``, ``shared``).
Commands and workers have no such time; nor have requests that ask for as long as their body comes.
"""

import asyncio
import math
import time
from contextvars import ContextVar
from typing import Any, TypeVar

from milepost.errors import DatabaseUnavailable

T = TypeVar("T")

# Any answer, a refusal included, is promised within 3 s: the rest is for rendering it.
ANSWER_SECONDS = 2.5


class Patience:
    """One request's time for its database; ``task`` is the request's own, ``answer_by`` a moment of
    ``time.monotonic`` (infinite: no limit), ``answer`` the last that it was to wait for.

    Without methods on the way of every request: each call would cost as much as what it does.
    """

    __slots__ = ("answer", "answer_by", "task")
    answer: "asyncio.Future[Any] | None"
    answer_by: float
    task: "asyncio.Task[Any]"

    def end_wait_if_late(self, now: float) -> None:
        """To be called now and then: a timer of its own would cost more than all the rest."""
        if now >= self.answer_by and self.answer is not None and not self.answer.done():
            self.answer.set_exception(late(ANSWER_SECONDS))


of_request: ContextVar[Patience | None] = ContextVar("patience", default=None)
"""Of the request that is being answered; None where each question has a time of its own."""


def late(seconds: float) -> DatabaseUnavailable:
    """What to raise after so long a wait."""
    return DatabaseUnavailable(f"no answer from the database within {seconds:.1f} s")


def left() -> float | None:
    """Seconds this request still waits, below 0 where that is over; None: it isn't limited, or we
    are in a task that others may wait for, too."""
    patience = of_request.get()
    if patience is None or patience.task is not asyncio.current_task():
        return None
    return None if patience.answer_by == math.inf else patience.answer_by - time.monotonic()


def allow(seconds: float) -> None:
    """What follows in this request may take so long, counted from now."""
    patience = of_request.get()
    if patience is not None:
        patience.answer_by = max(patience.answer_by, time.monotonic() + seconds)


def answered(answer: "asyncio.Future[T]") -> "asyncio.Future[T]":
    """To be awaited: what a shared question will set, and this request's alone.

    Late, the question goes on for the others, and this raises DatabaseUnavailable, up to 0.1 s
    later than ``retrying`` would.
    """
    patience = of_request.get()
    if patience is not None:
        patience.answer = answer
    return answer


async def shared(asking: "asyncio.Task[T]") -> T:
    """The result of a task that others may wait for, too: it ends neither when one of them hangs
    up nor when one is out of time. Raises DatabaseUnavailable then."""
    await asyncio.wait((asking,), timeout=left())
    if not asking.done():
        raise late(ANSWER_SECONDS)
    return asking.result()
