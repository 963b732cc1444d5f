"""Subscribers on a loopback socket: each notes what it is told, line by line, before it answers.

One takes events and fails at random, one is gone for seconds again and again, one breaks off its
answers in every way there is, one is an integration with its classic webhook.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from aiohttp import web
from tests.chaos.installation import Installation, Key
from tests.chaos.ledger import Ledger, hash_of

STEADY, FLAPPING, BREAKING, CLASSIC = "steady", "flapping", "breaking", "classic"
KINDS = {STEADY: "webhook", FLAPPING: "webhook", BREAKING: "webhook", CLASSIC: "integration"}
FORMS = {"webhook": "sendcloud_v3", "integration": "sendcloud_classic"}
FAILS = 0.1
"""Of what the steady ones are told."""
UP_SECONDS, DOWN_SECONDS = 3.0, 2.0
BREAKS = 0.3
"""Of what the breaking ones are told."""
EVER = 3600.0
QUIET = logging.getLogger("subscribers")
QUIET.disabled = True
DRIP_SECONDS = 0.2
A_LOT = b"x" * 65536
IN_TIME = {
    "MILEPOST_EGRESS_ALLOW": "127.0.0.0/8:*",
    "MILEPOST_EVENT_RETRY_SECONDS": ",".join(["0.2"] * 60),
    "MILEPOST_CLASSIC_RETRY_SECONDS": ",".join(["0.2"] * 60),
    "MILEPOST_SUBSCRIBER_REST_SECONDS": "0.3",
    "MILEPOST_SUBSCRIBER_LONGEST_REST_SECONDS": "0.6",
    "MILEPOST_EGRESS_SECONDS": "5",
}
"""Schedules of seconds, and more attempts than any of them can fail."""


class Manner(StrEnum):
    """How a subscriber answers."""

    TAKES = "takes it"
    FAILS = "fails"
    HANGS = "hangs"
    DROPS = "drops"
    DRIPS = "drips"
    LIES = "lies about its length"
    FLOODS = "sends a gigabyte"


TAKEN = (Manner.TAKES, Manner.FLOODS)
"""A yes is a yes, however much comes behind it."""
BREAKING_OFF = tuple(one for one in Manner if one is not Manner.TAKES)


@dataclass
class Subscribers:
    """``refuses``, where it is set, decides in place of chance: by name and event number."""

    ledger: Ledger
    port: int = 0
    names: dict[int, str] = field(default_factory=dict)
    """By connection: what it is like."""
    refuses: Callable[[str, int], bool] | None = None
    calm: bool = False
    """Nobody fails any more: what is left may arrive."""

    async def take(self, request: web.Request) -> web.StreamResponse:
        """POST /{connection}."""
        connection = int(request.match_info["connection"])
        body = await request.read()
        sequence = int(request.headers["Milepost-Sequence"])
        manner = self._manner(self.names[connection], sequence)
        self.ledger.write(
            "got",
            connection=connection,
            id=request.headers["webhook-id"],
            sequence=sequence,
            body=hash_of(body),
            status=200 if manner in TAKEN else 500,
            manner=manner,
        )
        return await _answer(request, manner)

    def _manner(self, name: str, sequence: int) -> Manner:
        if self.refuses is not None:
            fails = self.refuses(name, sequence)
        elif self.calm:
            fails = False
        elif name == FLAPPING:
            fails = time.monotonic() % (UP_SECONDS + DOWN_SECONDS) < DOWN_SECONDS
        elif name == BREAKING and random.random() < BREAKS:
            return random.choice(BREAKING_OFF)
        else:
            fails = random.random() < FAILS
        return Manner.FAILS if fails else Manner.TAKES

    async def connect(self, house: Installation, keys: Sequence[Key]) -> None:
        """One of each kind for each of these accounts."""
        connection = await house.connect()
        try:
            for key in keys:
                for name, kind in KINDS.items():
                    made = await connection.fetchval(
                        "INSERT INTO connection (account_id, kind, form, url, name)"
                        " VALUES ($1, $2, $3, '', $4) RETURNING connection_id",
                        *(key.account_id, kind, FORMS[kind], name),
                    )
                    self.names[made] = name
                    await connection.execute(
                        "UPDATE connection SET url = $2 WHERE connection_id = $1",
                        *(made, f"http://127.0.0.1:{self.port}/{made}"),
                    )
                    await connection.execute(
                        "INSERT INTO delivery_lane (account_id, connection_id) VALUES ($1, $2)",
                        *(key.account_id, made),
                    )
                    if kind == "webhook":
                        await connection.execute(
                            "INSERT INTO subscription (account_id, connection_id, event_type)"
                            " VALUES ($1, $2, 'parcels.event.created')",
                            *(key.account_id, made),
                        )
        finally:
            await connection.close()


async def _answer(request: web.Request, manner: Manner) -> web.StreamResponse:
    wire = request.transport
    match manner:
        case Manner.HANGS:
            await asyncio.sleep(EVER)
        case Manner.DROPS if wire is not None:
            wire.abort()
        case Manner.LIES if wire is not None:
            wire.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")
            wire.close()
        case Manner.DRIPS:
            return await _long(request, b"x", DRIP_SECONDS)
        case Manner.FLOODS:
            return await _long(request, A_LOT, 0)
    return web.Response(status=200 if manner is Manner.TAKES else 500)


async def _long(request: web.Request, piece: bytes, pause: float) -> web.StreamResponse:
    """A yes, and a gigabyte that is never over while anybody listens."""
    answer = web.StreamResponse(headers={"Content-Length": str(2**30)})
    await answer.prepare(request)
    for _ in range(2**30 // len(piece)):
        await answer.write(piece)
        await asyncio.sleep(pause)
    return answer


@asynccontextmanager
async def subscribers(path: Path) -> AsyncIterator[Subscribers]:
    """Listening, with their ledger at ``path``."""
    ledger = Ledger(path)
    made = Subscribers(ledger)
    app = web.Application()
    app.router.add_post("/{connection}", made.take)
    runner = web.AppRunner(app, access_log=None, logger=QUIET, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()
        ledger.close()
