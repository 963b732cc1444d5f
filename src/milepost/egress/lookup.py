"""Looks names up, in threads of our own: some name servers never answer."""

import asyncio
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

Found = tuple[tuple[socket.AddressFamily, str], ...]
"""Family and address of each answer, as text with its zone."""

AT_ONCE = 32
REMEMBERED = 2_000
KEEP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Known:
    found: Found
    until: float


class Lookup:
    """``getaddrinfo``, one look-up of a name at a time; an answer is good for ten seconds.

    A thread waits as long as the system's resolver does (10 s and more), whoever still wants to
    know. So names that have answered before and names that have not have ``at_once`` threads each:
    what an unknown name costs never delays a known one. Threads are daemons, as a process that ends
    does not wait for them.
    """

    def __init__(self, at_once: int = AT_ONCE, keep_seconds: float = KEEP_SECONDS) -> None:
        self._keep_seconds = keep_seconds
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Found]] = {}
        self._proven = asyncio.Semaphore(at_once)
        self._unproven = asyncio.Semaphore(at_once)

    async def addresses(self, host: str) -> Found:
        """All answers. OSError where there are none, as ``getaddrinfo`` raises it."""
        known = self._known.get(host)
        if known is not None and monotonic() < known.until:
            self._known.move_to_end(host)
            return known.found
        task = self._asking.get(host)
        if task is None:
            turns = self._unproven if known is None else self._proven
            task = self._asking[host] = asyncio.create_task(self._ask(host, turns))
            task.add_done_callback(_heard)
        try:
            # Who gives up leaves the look-up to those who wait for it as well.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._known.pop(host, None)
            raise

    async def _ask(self, host: str, turns: asyncio.Semaphore) -> Found:
        try:
            async with turns:
                found = await _in_thread(lambda: _look_up(host))
        except BaseException:
            self._known.pop(host, None)
            raise
        finally:
            del self._asking[host]
        self._known[host] = _Known(found, monotonic() + self._keep_seconds)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def close(self) -> None:
        """Give up what is under way."""
        for task in list(self._asking.values()):
            task.cancel()


def _look_up(host: str) -> Found:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "no name") from error
    return tuple(
        dict.fromkeys(
            (family, _with_zone(*sockaddr[0:1], *sockaddr[3:4]))
            for family, _, _, _, sockaddr in answers
            if family in (socket.AF_INET, socket.AF_INET6)
        )
    )


def _with_zone(address: str | int, zone: str | int = 0) -> str:
    # Judged and dialled together: "fe80::1%2".
    return f"{address}%{zone}" if zone else str(address)


async def _in_thread(work: Callable[[], Found]) -> Found:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Found] = loop.create_future()

    def tell(found: Found | None, error: OSError | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(found or ())

    def look() -> None:
        found, error = None, None
        try:
            found = work()
        except OSError as failure:
            error = failure
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, found, error)

    threading.Thread(target=look, name="egress look-up", daemon=True).start()
    return await future


def _heard(task: "asyncio.Task[Found]") -> None:
    # Nobody may be waiting any more.
    if not task.cancelled():
        task.exception()
