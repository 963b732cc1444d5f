"""Closed-loop clients: each registers one parcel after another and never takes silence for a no."""

import asyncio
import base64
import itertools
import json
import random
import time
from dataclasses import dataclass, field

import aiohttp
from tests.chaos.carrier import ANNOUNCED, FakeCarrier
from tests.chaos.installation import Key
from tests.chaos.ledger import Ledger, hash_of

TRACKING = "/api/v3/parcels/tracking"
PATIENCE = 180.0
"""How long an operation is repeated until it counts as lost."""
ASK_SECONDS = 8.0
MOST_ON_THE_WAY = 100
"""Parcels with the carrier that is asked; more would make the drain last."""
AGAIN_EVERY = 25


@dataclass
class Load:
    """What the clients share."""

    ports: list[int]
    keys: list[Key]
    carrier: FakeCarrier
    ledger: Ledger
    asked_every: int = 5
    """Every n-th parcel travels with the carrier that is asked, the others with one nobody asks."""
    most_on_the_way: int = MOST_ON_THE_WAY
    ask_seconds: float = ASK_SECONDS
    """After so long an answer is not waited for any more."""
    pause: float = 0
    """Seconds between two registrations of a client."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    watched: int = 0
    acknowledged: list[tuple[float, float]] = field(default_factory=list)
    """(when, after how many seconds since the first attempt) of each operation, monotonic."""
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def on_the_way(self) -> int:
        """Parcels the carrier has not told everything of."""
        return self.watched - len(self.carrier.finished)

    def next_parcel(self) -> tuple[str, str]:
        """(number, carrier_code); bounded so that the carrier can follow."""
        serial = next(self._numbers)
        if serial % self.asked_every == 0 and self.on_the_way < self.most_on_the_way:
            self.watched += 1
            return f"JVGL{serial:014d}", "dhl"
        return f"SLOW{serial:014d}", "slowpost"


def document(number: str, carrier: str) -> dict[str, object]:
    """The least a registration needs."""
    return {
        "announced_at": ANNOUNCED.isoformat(timespec="seconds"),
        "source_id": f"order-{number}",
        "from_address": {"country_code": "NL", "postal_code": "5611EM"},
        "to_address": {"country_code": "NL", "postal_code": "8011PK"},
        "ship_with": {
            "type": "shipping_option_code",
            "properties": {"shipping_option_code": "any:any"},
        },
        "tracking_number": {"carrier_code": carrier, "tracking_number": number},
    }


class Client:
    """One loop of one account."""

    def __init__(self, load: Load, key: Key, session: aiohttp.ClientSession) -> None:
        self.load, self.key, self.session = load, key, session
        login = base64.b64encode(key.user.encode()).decode()
        self.headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        self.done = 0

    async def run(self) -> None:
        while not self.load.stop.is_set():
            number, carrier = self.load.next_parcel()
            await self.register(number, carrier)
            await asyncio.sleep(self.load.pause)

    async def register(self, number: str, carrier: str) -> None:
        """One operation until it is answered; the same key each time."""
        ledger = self.load.ledger
        key, body = f"op-{number}", json.dumps(document(number, carrier)).encode()
        facts = {"number": number, "carrier": carrier, "account_id": self.key.account_id}
        ledger.write("invoke", key=key, **facts)
        started = time.monotonic()
        while time.monotonic() - started < PATIENCE:
            if await self._attempt(key, body):
                now = time.monotonic()
                self.load.acknowledged.append((now, now - started))
                self.done += 1
                if self.done % AGAIN_EVERY == 0:
                    await self._attempt(key, body)
                return
            await asyncio.sleep(random.uniform(0.02, 0.15))

    async def _attempt(self, key: str, body: bytes) -> bool:
        """True when an answer says what happened."""
        url = f"http://127.0.0.1:{random.choice(self.load.ports)}{TRACKING}"
        headers = self.headers | {"Idempotency-Key": key}
        write, started = self.load.ledger.write, time.monotonic()
        try:
            async with self.session.post(url, data=body, headers=headers) as got:
                answer = await got.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as unknown:
            write("info", key=key, why=type(unknown).__name__)
            return False
        took = round(time.monotonic() - started, 3)
        if got.status == 503:
            retry_after = got.headers.get("Retry-After")
            write("info", key=key, why="503", took=took, retry_after=retry_after)
            return False
        if got.status == 200:
            write("ok", key=key, answer=hash_of(answer), took=took)
        else:
            write("fail", key=key, status=got.status, body=answer.decode()[:200], took=took)
        return True


async def run_clients(load: Load) -> None:
    """One client a key, until ``load.stop``; returns when each has its last answer."""
    timeout = aiohttp.ClientTimeout(total=load.ask_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        await asyncio.gather(*(Client(load, key, session).run() for key in load.keys))
