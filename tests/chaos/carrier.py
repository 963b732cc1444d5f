"""A carrier that tells its scans bit by bit, so that the checker knows what each parcel must have.

It speaks DHL's interface. What it will have told of a number in the end is a function of the
number alone; its ledger says what it was asked and how much it told.
"""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from tests.carriers.dhl_server import DhlServer
from tests.chaos.ledger import Ledger

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
ANNOUNCED = TODAY - timedelta(days=6)


def scans_of(number: str) -> list[tuple[str, str, str]]:
    """(time, statusCode, text) of every scan of ``number``, oldest first, delivered last."""
    dice = _dice(number)
    scans = [(5, "pre-transit", "The shipment data was announced")]
    days = sorted(dice.sample((4, 3, 2), k=dice.randint(1, 3)), reverse=True)
    scans += [(day, "transit", f"Processed in parcel center {day}") for day in days]
    scans.append((1, "delivered", "The shipment was delivered"))
    minute = timedelta(minutes=dice.randrange(60, 1300))
    return [
        (f"{TODAY - timedelta(days=day) + minute:%Y-%m-%dT%H:%M:%S}", code, text)
        for day, code, text in scans
    ]


def told_at(number: str, asked: int) -> list[tuple[str, str, str]]:
    """What is told when ``number`` is asked for the ``asked``-th time (from 1), oldest first.

    Every second carrier reports some middle scan late, after newer ones.
    """
    scans = scans_of(number)
    order = list(range(len(scans)))
    dice = _dice(number + "order")
    if dice.random() < 0.5:
        middle = order[1:-1]
        dice.shuffle(middle)
        order = [order[0], *middle, order[-1]]
    return [scans[place] for place in sorted(order[:asked])]


def _dice(number: str) -> random.Random:
    return random.Random(hashlib.blake2b(number.encode()).digest())


class FakeCarrier(DhlServer):
    """Tells one scan more each time; ``slow_every``-th answers take ``slow_seconds``."""

    def __init__(self, ledger: Ledger, slow_every: int, slow_seconds: float) -> None:
        super().__init__()
        self.ledger = ledger
        self.slow_every, self.slow_seconds = slow_every, slow_seconds
        self.times_asked: Counter[str] = Counter()
        self.finished: set[str] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """GET /track/shipments."""
        number = request.query.get("trackingNumber", "")
        self.times_asked[number] += 1
        told = told_at(number, self.times_asked[number])
        self.shipments[number] = shipment(number, told)
        self.ledger.write("asked", number=number, told=len(told))
        if len(told) == len(scans_of(number)):
            self.finished.add(number)
        if self.slow_every and sum(self.times_asked.values()) % self.slow_every == 0:
            await asyncio.sleep(self.slow_seconds)
        self.asked.clear()
        return await super().answer(request)


def shipment(number: str, told: list[tuple[str, str, str]]) -> Mapping[str, Any]:
    place = {"address": {"countryCode": "NL", "addressLocality": "Zwolle"}}
    events = [
        {
            "timestamp": time,
            "location": place,
            "statusCode": code,
            "status": text,
            "description": text,
        }
        for time, code, text in reversed(told)
    ]
    return {
        "shipments": [{"id": number, "service": "parcel-nl", "status": events[0], "events": events}]
    }


@asynccontextmanager
async def fake_carrier(
    path: Path,
    port: int,
    *,
    slow_every: int = 0,
    slow_seconds: float = 0,
    kind: type[FakeCarrier] = FakeCarrier,
) -> AsyncIterator[FakeCarrier]:
    """A running carrier on 127.0.0.1:``port`` with its ledger at ``path``."""
    ledger = Ledger(path)
    server = kind(ledger, slow_every, slow_seconds)
    app = web.Application()
    app.router.add_get("/track/shipments", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield server
    finally:
        await runner.cleanup()
        ledger.close()
