"""Hearing that the server is to stop before it waits for what it has in hand."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def told_to_end(end: Callable[[], None]) -> Iterator[None]:
    """Within the block ``end`` is called, on the loop, when the server is told to stop.

    The end of the lifespan comes too late for requests that last: the server waits for them first.
    Its own handler stays, ours goes before it; a loop without one (a test's) is left alone.
    """
    before = signal.getsignal(signal.SIGTERM)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    theirs, loop = before, asyncio.get_running_loop()

    def ours(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end)
        theirs(number, frame)

    signal.signal(signal.SIGTERM, ours)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, theirs)
