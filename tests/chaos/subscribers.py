"""Subscribers on a loopback socket: each notes what it is told, line by line, before it answers.

One takes events and fails at random, one is gone for seconds again and again, one is an integration
with its classic webhook.
"""

import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from tests.chaos.installation import Installation, Key
from tests.chaos.ledger import Ledger, hash_of

STEADY, FLAPPING, CLASSIC = "steady", "flapping", "classic"
KINDS = {STEADY: "webhook", FLAPPING: "webhook", CLASSIC: "integration"}
FORMS = {"webhook": "sendcloud_v3", "integration": "sendcloud_classic"}
FAILS = 0.1
"""Of what the steady ones are told."""
UP_SECONDS, DOWN_SECONDS = 3.0, 2.0
IN_TIME = {
    "MILEPOST_EGRESS_ALLOW": "127.0.0.0/8:*",
    "MILEPOST_EVENT_RETRY_SECONDS": ",".join(["0.2"] * 60),
    "MILEPOST_CLASSIC_RETRY_SECONDS": ",".join(["0.2"] * 60),
    "MILEPOST_SUBSCRIBER_REST_SECONDS": "0.3",
    "MILEPOST_SUBSCRIBER_LONGEST_REST_SECONDS": "0.6",
    "MILEPOST_EGRESS_SECONDS": "5",
}
"""Schedules of seconds, and more attempts than any of them can fail."""


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
        name = self.names[connection]
        status = 500 if self._fails(name, sequence) else 200
        self.ledger.write(
            "got",
            connection=connection,
            id=request.headers["webhook-id"],
            sequence=sequence,
            body=hash_of(body),
            status=status,
        )
        return web.Response(status=status)

    def _fails(self, name: str, sequence: int) -> bool:
        if self.refuses is not None:
            return self.refuses(name, sequence)
        if self.calm:
            return False
        if name == FLAPPING:
            return time.monotonic() % (UP_SECONDS + DOWN_SECONDS) < DOWN_SECONDS
        return random.random() < FAILS

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


@asynccontextmanager
async def subscribers(path: Path) -> AsyncIterator[Subscribers]:
    """Listening, with their ledger at ``path``."""
    ledger = Ledger(path)
    made = Subscribers(ledger)
    app = web.Application()
    app.router.add_post("/{connection}", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()
        ledger.close()
