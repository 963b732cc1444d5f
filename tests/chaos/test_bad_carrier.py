"""P1 with a carrier that hangs, lies and floods: whatever it says, only what is true is kept.

Every third answer is bad for ``BAD_CARRIER_SECONDS`` (6; longer in ``make chaos``), then all are
good. Afterwards each parcel has exactly the carrier's scans, as after any other fault.
"""

import asyncio
import os
from collections import Counter
from typing import Any

import pytest
from aiohttp import web
from tests.chaos.carrier import FakeCarrier, scans_of, shipment, told_at
from tests.chaos.fast import PATIENCE, Run, running_fast
from tests.chaos.ledger import Ledger
from tests.chaos.test_broken_twins import change
from tests.promises.figures import keep

SECONDS = float(os.environ.get("BAD_CARRIER_SECONDS", "6"))
CARRIER_SECONDS = 2
WAYS = (
    "hangs",
    "drips without end",
    "floods",
    "html",
    "half a document",
    "deeper than anybody reads",
    "another number",
    "forgets it",
    "says it all thrice, and that it was delivered",
    "sends elsewhere",
    "is down",
)
STRANGER = "JVGL99999999999999"
pytestmark = [pytest.mark.promise, pytest.mark.beside, pytest.mark.slow]


class BadCarrier(FakeCarrier):
    """Good, unless ``bad``: then every third answer is one of ``WAYS``, each in its turn."""

    def __init__(self, ledger: Ledger, slow_every: int, slow_seconds: float) -> None:
        super().__init__(ledger, slow_every, slow_seconds)
        self.bad = False
        self.asked_while_bad = 0
        self.did: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """GET /track/shipments."""
        if self.bad:
            self.asked_while_bad += 1
            if self.asked_while_bad % 3 == 0:
                way = WAYS[(self.asked_while_bad // 3) % len(WAYS)]
                self.did[way] += 1
                return await self.misbehave(way, request)
        return await super().answer(request)

    async def misbehave(self, way: str, request: web.Request) -> web.StreamResponse:
        """None of this may leave a trace, but for what is true in it."""
        number = request.query.get("trackingNumber", "")
        known = told_at(number, max(1, self.times_asked[number]))
        match way:
            case "hangs":
                await asyncio.sleep(5 * CARRIER_SECONDS)
                return web.json_response(shipment(STRANGER, scans_of(STRANGER)))
            case "drips without end" | "floods":
                return await self._without_end(request, b" " * (1 if "drips" in way else 65536))
            case "html":
                return web.Response(text="<html>Delivered!</html>", content_type="text/html")
            case "half a document":
                return web.Response(body=b'{"shipments": [{', content_type="application/json")
            case "deeper than anybody reads":
                return web.Response(body=b"[" * 100_000, content_type="application/json")
            case "another number":
                return web.json_response(shipment(STRANGER, scans_of(STRANGER)))
            case "forgets it":
                return web.json_response(
                    {"status": 404, "title": "No result found"},
                    status=404,
                    content_type="application/problem+json",
                )
            case "sends elsewhere":
                raise web.HTTPFound("http://127.0.0.1:1/elsewhere")
            case "is down":
                return web.Response(status=500, text="Try later.")
        told: Any = shipment(number, known * 3)
        told["shipments"][0]["status"] = {"statusCode": "delivered", "status": "Delivered"}
        return web.json_response(told)

    async def _without_end(self, request: web.Request, piece: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(1000):
            await response.write(piece)
            await asyncio.sleep(0.05 if len(piece) == 1 else 0)
        return response


@pytest.mark.timeout(400 + 2 * SECONDS)
async def test_a_carrier_that_hangs_lies_and_floods_leaves_no_trace() -> None:
    limit = str(CARRIER_SECONDS)
    async with running_fast(
        2, asked_every=3, kind=BadCarrier, MILEPOST_CARRIER_SECONDS=limit
    ) as run:
        carrier = run.load.carrier
        assert isinstance(carrier, BadCarrier)
        await run.answered_again(50)
        carrier.bad = True
        async with asyncio.timeout(PATIENCE + SECONDS):
            await asyncio.sleep(SECONDS)
            while len(carrier.did) < len(WAYS):
                before = carrier.asked_while_bad
                await asyncio.sleep(1)
                # Where good answers are too late as well, on a busy machine, it rests by now.
                if carrier.asked_while_bad == before:
                    await ask_at_once(run)
        carrier.bad = False
        await run.pause()
        await ask_at_once(run)
        wrong = await run.finish()
        keep(
            "P1 bad carrier",
            bad_answers=dict(carrier.did),
            watched=run.load.watched,
            drain_seconds=round(run.drain_seconds, 1),
            violations=len(wrong),
        )
        assert wrong == [], "\n".join(wrong[:8])
        assert run.load.watched > 10


async def ask_at_once(run: Run) -> None:
    """As an operator: after so much trouble carriers and parcels rest for minutes."""
    await change(
        run.house,
        "UPDATE carrier_budget SET open_until = NULL, faults = 0, paused_until = NULL",
        "UPDATE watch SET due_at = now() WHERE due_at < 'infinity' AND lease_until IS NULL",
        "UPDATE lane SET turn_at = now(), paused_until = NULL WHERE state = 'open'",
    )
