"""The load generator: ``python -m bench.load``, an order as JSON on stdin, its report on stdout.

Raw sockets and one protocol object a connection, since what it costs is taken from the server's
cores. Each connection sends its next request when the last answer is whole; with a ``rate`` they
send by the clock instead, and latency counts from the planned moment, so that a slow answer does
not hide the requests it kept back.
"""

import asyncio
import gc
import random
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import cast

import orjson
import uvloop

PATIENCE_SECONDS = 120.0
"""For the last answers."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to send: ``head`` (and ``body``) with ``{number}`` where a nine-digit number goes.

    Numbers are drawn uniformly from ``first`` to ``first + many - 1``, or counted up from
    ``first`` where ``many`` is 0. It ends after ``seconds``. ``rate`` is requests a second over all
    connections, 0 for as fast as answers come.
    """

    port: int
    head: str
    body: str = ""
    first: int = 1
    many: int = 0
    connections: int = 32
    seconds: float = 2.0
    rate: float = 0.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Report:
    """What came back; latencies in milliseconds. ``example`` is the last answer's body."""

    requests: int
    seconds: float
    statuses: dict[str, int]
    p50: float
    p99: float
    example: str

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


class Load:
    """All connections of one order."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.example = b""
        self.waiting: deque[float] = deque()
        self.idle: list[Connection] = []
        self._head, self._body = order.head.encode(), order.body.encode()
        self._dice = random.Random(order.seed)
        self._next = order.first
        self._open = order.connections
        self._ends_at = 0.0
        self._is_asked = False
        self._done = asyncio.get_running_loop().create_future()

    async def run(self) -> Report:
        """Connect, send until the time is over, wait for the last answers."""
        loop = asyncio.get_running_loop()
        port = self.order.port
        made = [
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
            for _ in range(self.order.connections)
        ]
        started = time.perf_counter()
        self._ends_at = started + self.order.seconds
        if self.order.rate:
            self.idle = [connection for _, connection in made]
            await self._by_the_clock(started)
        else:
            for _, connection in made:
                connection.send_next()
        async with asyncio.timeout(self.order.seconds + PATIENCE_SECONDS):
            await self._done
        seconds = time.perf_counter() - started
        return self._report(seconds)

    def request(self) -> bytes | None:
        """The next request, None when the time is over: after one at least."""
        if time.perf_counter() >= self._ends_at and self._is_asked:
            return None
        self._is_asked = True
        if self.order.many:
            number = b"%09d" % (self.order.first + int(self._dice.random() * self.order.many))
        else:
            number = b"%09d" % self._next
            self._next += 1
        head = self._head.replace(b"{number}", number)
        if not self._body:
            return head + b"\r\n"
        body = self._body.replace(b"{number}", number)
        return b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)

    def closed(self) -> None:
        """One connection has had its last answer."""
        self._open -= 1
        if not self._open and not self._done.done():
            self._done.set_result(None)

    def failed(self, error: Exception) -> None:
        """The server hung up on us: nothing measured here is worth anything."""
        if not self._done.done():
            self._done.set_exception(error)

    async def _by_the_clock(self, started: float) -> None:
        gap, sent = 1 / self.order.rate, 0
        while (now := time.perf_counter()) < self._ends_at or not self._is_asked:
            while (planned := started + sent * gap) <= now:
                sent += 1
                if self.idle:
                    self.idle.pop().send_next(planned)
                else:
                    self.waiting.append(planned)
            await asyncio.sleep(max(0.0, planned - time.perf_counter()))
        self.waiting.clear()
        for connection in self.idle:
            connection.send_next()

    def _report(self, seconds: float) -> Report:
        ordered = sorted(self.latencies)
        return Report(
            requests=len(ordered),
            seconds=seconds,
            statuses=dict(self.statuses),
            p50=1000 * ordered[len(ordered) // 2],
            p99=1000 * ordered[len(ordered) * 99 // 100],
            example=self.example.decode(errors="replace"),
        )


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request on its way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._missing = -1
        self._planned = 0.0
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is one in all but its class.
        self._transport = cast(asyncio.Transport, transport)

    def send_next(self, planned: float = 0.0) -> None:
        """Send one more, or end."""
        assert self._transport is not None
        request = self._load.request()
        if request is None:
            self._ended = True
            self._transport.close()
            self._load.closed()
            return
        self._planned = planned or time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._received += data
            head, blank, rest = self._received.partition(b"\r\n\r\n")
            if not blank:
                return
            place = head.lower().index(b"content-length:") + 15
            length = int(head[place : (head + b"\r").index(b"\r", place)])
            self._load.statuses[head[9:12].decode()] += 1
            self._received, self._missing = b"", length - len(rest)
            self._load.example = rest
        else:
            self._load.example += data
            self._missing -= len(data)
        if self._missing == 0:
            self._missing = -1
            self._answered()

    def _answered(self) -> None:
        load = self._load
        load.latencies.append(time.perf_counter() - self._planned)
        if not load.order.rate:
            self.send_next()
        elif load.waiting:
            self.send_next(load.waiting.popleft())
        elif time.perf_counter() >= load._ends_at:
            self.send_next()
        else:
            load.idle.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._ended:
            self._load.failed(error or ConnectionError("the server hung up"))


def main() -> None:
    """Fill the order on stdin."""
    order = Order(**orjson.loads(sys.stdin.buffer.read()))
    gc.disable()

    async def run() -> Report:
        return await Load(order).run()

    report = uvloop.run(run())
    sys.stdout.buffer.write(orjson.dumps(asdict(report)))


if __name__ == "__main__":
    main()
