"""An API whose events are told as a worker would, and the other end of its streams."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.api.fake_api import AUTHORIZATION, Client
from tests.api.own_api import own_api
from tests.api.samples import POST, registration

from milepost.api.authentication import Message, Scope
from milepost.db.pool import Pool
from milepost.errors import NotAuthenticated
from milepost.notifications.bodies import Bodies
from milepost.notifications.fan_out import FanOut
from milepost.wiring import ApiParts

EVENTS = "/api/milepost/v1/events"


@dataclass
class House:
    """An API, and what tells in the worker's place."""

    client: Client
    parts: ApiParts
    fan_out: FanOut
    account: int
    numbers: Iterator[int]

    async def happen(self, events: int = 1) -> None:
        await self.register(events)
        await self.tell()

    async def register(self, events: int = 1) -> None:
        for _ in range(events):
            number = f"FEED{next(self.numbers):06d}"
            body = registration(number) | {"source_id": number}
            assert (await self.client.post(POST, body)).status == 200

    async def tell(self) -> None:
        while await self.fan_out.tell(self.account):
            pass

    async def cursor(self) -> str:
        cursor: str = (await self.client.get(f"{EVENTS}?after=latest")).document["next_cursor"]
        return cursor


@asynccontextmanager
async def feed_house(dsn: str, account: int, pool: Pool) -> AsyncIterator[House]:
    """At most fifteen may wait; ``pool`` is the worker's."""
    chosen = {"max_event_readers": 18, "max_event_readers_per_account": 15}
    async with own_api(dsn, account, **chosen) as (client, parts):
        fan_out = FanOut(pool, parts.core.renderer, Bodies())
        yield House(client, parts, fan_out, account, iter(range(1, 1000)))


class Stream:
    """The other end of a stream, which may take its time."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.text = b""
        self.ended = False
        self.takes = asyncio.Event()
        self.takes.set()
        self.sent = 0
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            return
        self.sent += 1
        await self.takes.wait()
        self.text += message["body"]
        self.ended = not message.get("more_body", False)

    @property
    def events(self) -> list[dict[str, str]]:
        """The fields of each event so far."""
        blocks = [block.split("\n") for block in self.text.decode().split("\n\n")]
        named = [dict(line.split(": ", 1) for line in b if ": " in line) for b in blocks]
        return [one for one in named if "data" in one]


@asynccontextmanager
async def streaming(house: House, query: str = "", last_id: str = "") -> AsyncIterator[Stream]:
    stream = Stream()
    headers = [(b"authorization", AUTHORIZATION), (b"accept", b"text/event-stream")]
    if last_id:
        headers.append((b"last-event-id", last_id.encode()))
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": EVENTS,
        "raw_path": EVENTS.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }
    app: Any = house.client._app
    task = asyncio.create_task(app(scope, stream.receive, stream.send))
    try:
        await until(lambda: stream.status)
        yield stream
    finally:
        stream.gone.set()
        stream.takes.set()
        await asyncio.wait_for(task, 60)


def waiting(house: House) -> int:
    return sum(len(same) for same in house.parts.feed.watch._waiting.values())


def readers(house: House) -> int:
    total: int = api_of(house).state.readers._of_account.total()
    return total


def api_of(house: House) -> Any:
    app: Any = house.client._app
    return app._guard._app._api


def revoke(house: House) -> None:
    async def refuse(_: bytes | None) -> None:
        raise NotAuthenticated

    keys: Any = house.parts.gatekeeper
    keys.from_header = refuse


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)
