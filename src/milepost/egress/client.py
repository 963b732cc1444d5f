"""The one client for addresses that customers give: webhooks, tests of them, logos, sign-in."""

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from time import monotonic

import aiohttp

from milepost.egress.connector import Call, GuardedConnector, NotDialled
from milepost.egress.exchange import Answer, Request, ask
from milepost.egress.failures import EXPECTED, failure_of
from milepost.egress.headers import can_be_sent
from milepost.egress.lookup import Lookup
from milepost.egress.outcomes import Answered, Failed, Forbidden, Outcome
from milepost.egress.policy import Policy
from milepost.egress.targets import target_of
from milepost.settings import Settings

AT_ONCE = 4
"""Requests, and so connections, of one key at a time."""
KEPT_HEADERS = ("content-encoding", "content-type", "location", "retry-after")
LONGEST_KEPT = 256
_BY_US = {"Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds and bytes of one exchange; ``total_seconds`` includes the last byte of the answer."""

    total_seconds: float = 15
    connect_seconds: float = 5
    idle_seconds: float = 15
    most_bytes: int = 64 * 1024


class GuardedClient:
    """Sends requests where ``policy`` allows; one per process, closed at its end (``async with``).

    No redirects, no cookies, no proxy of the environment, nothing unpacked. A connection is kept
    for a while and was judged when it was dialled.
    """

    def __init__(
        self, policy: Policy, bounds: Bounds | None = None, *, at_once: int = AT_ONCE
    ) -> None:
        self.policy = policy
        self._bounds = bounds or Bounds()
        self._turns = _Turns(at_once)
        self._target_of = lru_cache(1024)(partial(target_of, policy=policy))
        self._connector: GuardedConnector | None = None

    @classmethod
    def of(cls, settings: Settings) -> "GuardedClient":
        """As the operator set it. Raises ConfigurationError."""
        return cls(
            Policy.of(settings),
            Bounds(
                settings.egress_seconds,
                settings.connect_seconds,
                settings.egress_idle_seconds,
                settings.max_egress_answer_bytes,
            ),
        )

    async def send(
        self,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        key: Hashable = None,
    ) -> Outcome:
        """What became of it; never raises for anything a receiver does.

        ``headers`` a customer gave have passed ``headers.fault_of``. At most four requests of one
        ``key`` (host and port, where there is none) are under way; waiting for that is not bounded
        and not part of the deadline, as nothing is sent yet. A request that finds a kept connection
        closed is sent once more: a receiver may see it twice.
        """
        headers = headers or {}
        target = self._target_of(url)
        if isinstance(target, Forbidden):
            return target
        if not can_be_sent(headers):
            return Forbidden("a header can't be sent as it is")
        async with self._turns.turn((target.host, target.port) if key is None else key):
            begun = monotonic()
            exchange = _Exchange(Call(target), Request(method, {**headers, **_BY_US}, body))
            try:
                async with asyncio.timeout(self._bounds.total_seconds):
                    return await self._exchanged(exchange, begun)
            except EXPECTED as error:
                if refused := _refused(error):
                    return refused
                kind, reason = failure_of(error)
                return Failed(kind, reason, exchange.status, _since(begun))

    async def _exchanged(self, exchange: "_Exchange", begun: float) -> Answered:
        try:
            return await self._exchange(exchange, begun)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if exchange.call.dialled or exchange.status:
                raise
        # It was closed while it was kept, and our request crossed with that.
        exchange.call.fresh = True
        return await self._exchange(exchange, begun)

    async def _exchange(self, exchange: "_Exchange", begun: float) -> Answered:
        answer = await ask(self._open(), exchange.call, exchange.request)
        try:
            exchange.status = answer.status
            body, cut = await answer.read(self._bounds.most_bytes)
        finally:
            answer.close()
        return Answered(answer.status, _kept(answer), body, cut, _since(begun))

    async def close(self) -> None:
        """Close every connection."""
        if self._connector is not None:
            await self._connector.close()
            self._connector = None

    async def __aenter__(self) -> "GuardedClient":
        """Itself; connections open when they are needed."""
        return self

    async def __aexit__(self, *told: object) -> None:
        """Close."""
        await self.close()

    def _open(self) -> GuardedConnector:
        if self._connector is None:
            self._connector = GuardedConnector(
                self.policy,
                Lookup(),
                connect_seconds=self._bounds.connect_seconds,
                idle_seconds=self._bounds.idle_seconds,
            )
        return self._connector


@dataclass(slots=True)
class _Exchange:
    """``status`` is filled in as soon as the answer has begun."""

    call: Call
    request: Request
    status: int = 0


class _Turns:
    """So many at a time of each key; nothing is kept of keys that nobody uses."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._users: dict[Hashable, _Queue] = {}

    def turn(self, key: Hashable) -> "_Turn":
        return _Turn(self, key)

    async def begin(self, key: Hashable) -> None:
        queue = self._users.get(key)
        if queue is None:
            queue = self._users[key] = _Queue(asyncio.Semaphore(self._at_once))
        queue.users += 1
        try:
            await queue.semaphore.acquire()
        except BaseException:
            self._forget(key, queue)
            raise

    def end(self, key: Hashable) -> None:
        queue = self._users[key]
        queue.semaphore.release()
        self._forget(key, queue)

    def _forget(self, key: Hashable, queue: "_Queue") -> None:
        queue.users -= 1
        if not queue.users:
            del self._users[key]


@dataclass(slots=True)
class _Queue:
    semaphore: asyncio.Semaphore
    users: int = 0


@dataclass(frozen=True, slots=True)
class _Turn:
    """A plain class: a generator's context costs several times as much, at each request."""

    turns: _Turns
    key: Hashable

    async def __aenter__(self) -> None:
        await self.turns.begin(self.key)

    async def __aexit__(self, *told: object) -> None:
        self.turns.end(self.key)


def _refused(error: BaseException) -> Forbidden | None:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return cause.forbidden if isinstance(cause, NotDialled) else None


def _kept(answer: Answer) -> dict[str, str]:
    kept = {}
    for name in KEPT_HEADERS:
        value = answer.headers.get(name)
        if value is not None:
            # Bytes that are no UTF-8 come as lone surrogates, which can't be stored.
            value = value[:LONGEST_KEPT]
            if not value.isprintable():
                value = "".join(one if one.isprintable() else "?" for one in value)
            kept[name] = value
    return kept


def _since(begun: float) -> int:
    return round((monotonic() - begun) * 1000)
