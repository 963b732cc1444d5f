"""Clients that register and read on every port there is, and remember every answer."""

import asyncio
import base64
import itertools
import json
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
from tests.chaos.clients import TRACKING, document

PATIENCE = 120.0
SANDBOX_EVERY = 5
PAUSE = 0.02


@dataclass
class Load:
    """What was asked and answered; ``user`` is ``public:secret``."""

    user: str
    ports: list[int]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    written: dict[str, int] = field(default_factory=dict)
    """Acknowledged numbers, and the port that took each."""
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    _serial: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def run(self, clients: int) -> None:
        """Until ``stop``; returns when every client has its last answer."""
        login = base64.b64encode(self.user.encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            await asyncio.gather(*(self._client(session) for _ in range(clients)))

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while not self.stop.is_set():
            serial = next(self._serial)
            carrier = "slowpost" if serial % SANDBOX_EVERY else "sandbox"
            number = f"SLOW{serial}" if serial % SANDBOX_EVERY else f"SBX-HAPPY-40000X-U{serial}"
            await self._write(session, number, carrier)
            if self.written:
                await self._read(session, random.choice(list(self.written)))
            await asyncio.sleep(PAUSE)

    async def _write(self, session: aiohttp.ClientSession, number: str, carrier: str) -> None:
        sent = document(number, carrier) | {"announced_at": datetime.now(UTC).isoformat()}
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            port = random.choice(self.ports)
            key = {"Idempotency-Key": f"op-{number}"}
            status, _ = await self._ask(session, "POST", port, "", json.dumps(sent), key)
            if status == 200:
                self.written[number] = port
                return
            if status not in (0, 503):
                break
            await asyncio.sleep(0.1)
        self.lost.append(number)

    async def _read(self, session: aiohttp.ClientSession, number: str) -> None:
        port = random.choice(self.ports)
        status, body = await self._ask(session, "GET", port, f"/{number}", None, {})
        if status == 404 or (status == 200 and number.encode() not in body):
            self.wrong.append(f"{number}: {status} from port {port}")

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        method: str,
        port: int,
        path: str,
        body: str | None,
        headers: dict[str, str],
    ) -> tuple[int, bytes]:
        """Status (0: no answer) and body."""
        started = time.monotonic()
        status, answer = 0, b""
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            url = f"http://127.0.0.1:{port}{TRACKING}{path}"
            async with session.request(method, url, data=body, headers=headers) as got:
                status, answer = got.status, await got.read()
        self.slowest = max(self.slowest, time.monotonic() - started)
        self.statuses[method, status] += 1
        return status, answer

    def faults(self) -> list[str]:
        """What must never be seen: a failed write, a lost parcel, an answer that is a fault."""
        bad = [f"{kind}: {n}" for kind, n in self.statuses.items() if kind[1] >= 500 != kind[1]]
        bad = [one for one in bad if ", 503)" not in one]
        return [*bad, *self.wrong[:5], *(f"failed: {number}" for number in self.lost[:5])]
