"""Tenants that register and read; one whose answers are timed has a process of its own.

``python -m tests.promises.tenants`` is told on its standard input at which address, with which key,
under which name and for how many seconds it asks, and says what it was told. In the process of a
test, which floods and plays the carrier meanwhile, the clock would be looked at late.
"""

import asyncio
import base64
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

import aiohttp
from tests.chaos.clients import TRACKING, document
from tests.chaos.installation import Key

SUBSCRIPTIONS = "/api/v3/event-subscriptions"


@dataclass
class Told:
    """What one tenant was answered, and how long each answer took."""

    statuses: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    registered: dict[str, float] = field(default_factory=dict)
    """When which number was, by the monotonic clock."""


class Tenant:
    """Registers and reads with one key."""

    def __init__(self, session: aiohttp.ClientSession, key: Key, name: str) -> None:
        self.session, self.name, self.serial = session, name, 0
        login = base64.b64encode(key.user.encode()).decode()
        self.headers = {"Authorization": f"Basic {login}"}

    async def register(self, told: Told, carrier: str = "slowpost") -> str:
        self.serial += 1
        number = f"{self.name}{self.serial:012d}"
        await self._ask(told, "POST", TRACKING, json=document(number, carrier))
        told.registered[number] = time.monotonic()
        return number

    async def subscribe(self, url: str) -> None:
        """To every event, at ``url``."""
        connection = {"type": "webhook", "configuration": {"url": url, "auth_type": "none"}}
        made = await self._create("connections", connection)
        wanted = {"connection_id": made, "event_type": "parcels.event.created"}
        await self._create("subscriptions", wanted)

    async def _create(self, what: str, document: object) -> int:
        asking = self.session.post(f"{SUBSCRIPTIONS}/{what}", headers=self.headers, json=document)
        async with asking as got:
            assert got.status == 201, await got.text()
            return int((await got.json())["data"]["id"])

    async def read(self, told: Told, number: str) -> None:
        await self._ask(told, "GET", f"{TRACKING}/{number}")

    async def _ask(self, told: Told, method: str, path: str, **more: object) -> None:
        started = time.monotonic()
        asking = self.session.request(method, path, headers=self.headers, **more)  # type: ignore[arg-type]
        async with asking as got:
            await got.read()
        told.took.append(time.monotonic() - started)
        told.statuses[got.status] += 1

    async def steadily(self, seconds: float) -> Told:
        """Five requests a second, a registration and a read in turn."""
        told, end = Told(), time.monotonic() + seconds
        while time.monotonic() < end:
            number = await self.register(told)
            await asyncio.sleep(0.2)
            await self.read(told, number)
            await asyncio.sleep(0.2)
        return told

    async def flood(self, told: Told, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.register(told)


async def steadily_apart(base: str, key: Key, name: str, seconds: float) -> Told:
    """What ``Tenant.steadily`` says, of a tenant in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.promises.tenants"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    order = {"base": base, "key": asdict(key), "name": name, "seconds": seconds}
    said, _ = await process.communicate(json.dumps(order).encode())
    assert process.returncode == 0, "it asked no more"
    got = json.loads(said)
    # JSON's names are text.
    statuses = Counter({int(status): count for status, count in got["statuses"].items()})
    return Told(statuses, got["took"], got["registered"])


async def main() -> None:
    """Fill the order on stdin."""
    order = json.loads(sys.stdin.buffer.read())
    async with aiohttp.ClientSession(order["base"]) as session:
        tenant = Tenant(session, Key(**order["key"]), order["name"])
        # The first answer is that of a connection that is made for it, and of modules that are new.
        await tenant.register(Told())
        told = await tenant.steadily(order["seconds"])
    said = {"statuses": told.statuses, "took": told.took, "registered": told.registered}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    asyncio.run(main())
