"""Sends to addresses of P14 on every way out; ``python -m tests.promises.outbound_paths DSN BUG``.

By the doors of the API (making, changing, trying a webhook), by a worker that delivers what was let
in before, and by letters. A process of its own for the same reason as ``outbound``.
"""

import asyncio
import contextlib
import ipaddress
import json
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize
from urllib.parse import quote, unquote

import tests.unhurried  # noqa: F401
from bench.ports import free_port
from tests.api.event_subscriptions import CONNECTIONS, ROOT, connect, patch, subscribe
from tests.api.fake_api import Client
from tests.api.own_api import own_api
from tests.api.samples import POST, registration
from tests.promises.outbound import ALLOWED, answer, looked_up, names, planted
from tests.promises.outbound_letters import by_letters
from tests.promises.outbound_path_bugs import BUGS, LETTERS
from tests.promises.outbound_vectors import (
    FORBIDDEN,
    PUBLIC,
    Vector,
    literal,
    rebinding,
    vectors,
)
from tests.refused_commits import spare_the_tests

from milepost.db import commit_faults
from milepost.db.pool import Pool, open_pool, tenant
from milepost.egress.client import GuardedClient
from milepost.egress.policy import ALLOW
from milepost.notifications import trial
from milepost.notifications.bodies import Bodies
from milepost.notifications.deliver import Deliverer
from milepost.notifications.fan_out import FanOut
from milepost.notifications.forms import Kind
from milepost.notifications.webhooks import Webhooks
from milepost.settings import Settings
from milepost.wiring import ApiParts

SHOPS = "/api/milepost/v1/integrations"
KINDS = (("webhook", "sendcloud_v3"), ("integration", "sendcloud_classic"))
FEW = 11
ELSEWHERE = tuple(literal(one) for one in FORBIDDEN[::3])
connected: list[tuple[str, int]] = []


def watch(event: str, told: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not isinstance(told[1], tuple):
        return
    connected.append(told[1][:2])
    if not ipaddress.ip_address(told[1][0]).is_loopback:
        raise ConnectionRefusedError(111, "kept inside")


def chosen() -> list[Vector]:
    """Each address in one of four ways, all other spellings, names that turn, and redirects."""
    found = []
    for number, one in enumerate(vectors()):
        address, way = divmod(number, 4)
        if address >= len(FORBIDDEN) or way == address % 4:
            found.append(one)
    through = [Vector(f"http://{ALLOWED}:{{port}}/{quote(to, safe='{}')}") for to in ELSEWHERE]
    return [*found, *rebinding(), *through]


async def listener(host: str, port: int) -> asyncio.Server:
    """Sends whoever comes where his own path says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            to = unquote(head.split(b" ")[1].decode()[1:])
            writer.write(f"HTTP/1.1 307 Elsewhere\r\nLocation: {to}\r\n".encode())
            writer.write(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    return await asyncio.start_server(serve, host, port)


@dataclass
class Trip:
    """All ways out of one account; what is found to be wrong."""

    client: Client
    parts: ApiParts
    account: int
    worker: Pool
    port: int
    of: list[Vector]
    refused: int = 0
    dialled: list[Any] = field(default_factory=list)
    """Where nobody may call."""
    let_in: list[str] = field(default_factory=list)
    """By the door, though it can be seen from the text alone."""
    told: list[Any] = field(default_factory=list)
    """Answers with an address that only a look-up could have found."""
    unnamed: list[Any] = field(default_factory=list)
    """Refusals that the operator could lift and that do not say how."""

    def url(self, text: str) -> str:
        return text.replace("{port}", str(self.port))

    def expect(self, vector: Vector) -> None:
        """The vector's answers are what its name leads to, from its first look-up on."""
        connected.clear()
        names.clear()
        looked_up.clear()
        if vector.answers:
            names[self.url(vector.url).split("/")[2].split(":")[0].rstrip(".")] = vector.answers

    def judge(self, way: str, vector: Vector, text: str) -> None:
        url = self.url(vector.url)
        # A name that is public when it is judged may be dialled there.
        may = set(vector.answers[0]) if len(vector.answers) > 1 else set()
        if url.startswith(f"http://{ALLOWED}:"):
            may = {ALLOWED}
        if inside := {where for where, _ in connected} - may:
            self.dialled.append([way, url, sorted(inside)])
        found = {one for answer in vector.answers for one in answer} | set(PUBLIC)
        if oracle := [one for one in found if one in text and one not in url]:
            self.told.append([way, url, oracle])
        if "only the operator can allow" in text and ALLOW not in text:
            self.unnamed.append([way, url, text])

    async def through_the_doors(self) -> None:
        """Each vector is given to both doors, kept in spite of them, and tried by one of them."""
        hook = await connect(self.client)
        subscription = await subscribe(self.client, hook)
        shop = int((await self.client.post(SHOPS, {"shop_name": "Shop"})).document["id"])
        tests = (f"{ROOT}/broadcast/test/{subscription}", f"{SHOPS}/{shop}/test")
        for number, vector in enumerate(self.of):
            # The doors look no names up: one that leads inside is let in, and refused when called.
            if not vector.answers and ALLOWED not in vector.url:
                await self._give(vector, hook, shop)
            async with tenant(self.parts.core.pool, self.account) as conn:
                await conn.execute("UPDATE connection SET url = $1", self._kept(vector))
            self.expect(vector)
            answered = await self.client.post(tests[number % 2], {})
            if vector.url:
                assert answered.status == 200, answered.body
            self.judge("a test", vector, answered.body.decode())
            told = answered.document
            self.refused += not told.get("data", told).get("success") and not connected

    async def _give(self, vector: Vector, hook: int, shop: int) -> None:
        url = self.url(vector.url)
        for way, path, document in (
            ("connections", f"{CONNECTIONS}/{hook}", {"configuration": {"url": url}}),
            ("integrations", f"{SHOPS}/{shop}", {"webhook_url": url}),
        ):
            self.expect(vector)
            answered = await patch(self.client, path, document)
            self.judge(way, vector, answered.body.decode())
            is_name = "localhost" in normalize("NFKC", url).lower()
            if url and not is_name and answered.status not in (400, 422):
                self.let_in.append(f"{way}: {answered.status} {url}")

    def _kept(self, vector: Vector) -> str:
        # PostgreSQL keeps no NUL, so nobody can have given one.
        return self.url(vector.url).replace("\x00", "%00")

    async def by_the_worker(self) -> dict[str, int]:
        """What is in the table is delivered, or is not; how many were."""
        kept = {}
        async with tenant(self.worker, self.account) as conn:
            for number, vector in enumerate(self.of):
                kind, form = KINDS[number % 2]
                connection = await conn.fetchval(
                    "INSERT INTO connection (account_id, kind, form, url) VALUES ($1, $2, $3, $4)"
                    " RETURNING connection_id",
                    *(self.account, kind, form, self._kept(vector)),
                )
                kept[connection] = vector
            await conn.execute(
                "INSERT INTO delivery_lane (account_id, connection_id)"
                " SELECT account_id, connection_id FROM connection WHERE connection_id = ANY ($1)",
                list(kept),
            )
            await conn.execute(
                "INSERT INTO subscription (account_id, connection_id, event_type)"
                " SELECT account_id, connection_id, 'parcels.event.created' FROM connection"
                " WHERE connection_id = ANY ($1) AND kind = 'webhook'",
                list(kept),
            )
        answered = await self.client.post(POST, registration("SBX1"))
        assert answered.status == 200, answered.body
        await FanOut(self.worker, self.parts.core.renderer, Bodies()).tell(self.account)
        await self._deliver(kept)
        async with tenant(self.worker, self.account) as conn:
            sent = await conn.fetchval(
                "SELECT count(*) FROM delivery"
                " WHERE state = 'delivered' AND connection_id = ANY ($1)",
                list(kept),
            )
        return {"delivered": sent}

    async def _deliver(self, kept: dict[int, Vector]) -> None:
        async with GuardedClient.of(self.parts.core.settings) as client:
            sender = Webhooks(client, self.parts.core.secret_keys)
            worker = Deliverer(self.worker, {Kind.WEBHOOK: sender, Kind.INTEGRATION: sender})
            for lane in await worker.due(1000):
                if vector := kept.get(lane.connection_id):
                    self.expect(vector)
                    await worker.work(lane)
                    self.refused += not connected
                    self.judge("delivery", vector, "")
        connected.clear()
        async with tenant(self.worker, self.account) as conn:
            for connection, told in await conn.fetch(
                "SELECT l.connection_id, l.reason || coalesce(a.error, '') FROM delivery_lane l"
                " LEFT JOIN delivery_attempt a ON a.connection_id = l.connection_id"
                " WHERE l.connection_id = ANY ($1)",
                list(kept),
            ):
                assert told, "every lane says why nothing is sent"
                self.judge("reason", kept[connection], told)


@contextlib.asynccontextmanager
async def trip(dsn: str, port: int, of: list[Vector]) -> AsyncIterator[Trip]:
    async with await open_pool(dsn, "milepost_admin", Settings()) as admin:
        account = await admin.fetchval(
            "INSERT INTO account (name) VALUES ('P14') RETURNING account_id"
        )
    settings = {"egress_ports": f"80,443,{port}", "egress_allow": f"{ALLOWED}:{port}"}
    async with (
        await open_pool(dsn, "milepost_worker", Settings()) as worker,
        own_api(dsn, account, **settings, connect_seconds=2) as (client, parts),
    ):
        yield Trip(client, parts, account, worker, port, of)


async def main(dsn: str, bugs: list[str]) -> None:
    port = free_port()
    first = await listener("0.0.0.0", port)
    second = await listener("::1", port)
    trial.EVERY_SECONDS = 0
    socket.getaddrinfo = answer
    sys.addaudithook(watch)
    report: dict[str, Any] = {}
    for bug in bugs:
        # A few show what goes past the guard; that nothing does takes them all.
        of = chosen()[:: FEW if bug else 1]
        async with trip(dsn, port, of) as made:
            with planted(BUGS.get(bug, [])):
                found: dict[str, Any] = {}
                if bug in ("", LETTERS):
                    found |= await by_letters(made.worker, made.account, connected)
                if bug != LETTERS:
                    await made.through_the_doors()
                    found |= await made.by_the_worker()
            wrong = {name: getattr(made, name) for name in ("dialled", "let_in", "told", "unnamed")}
            counts = {"vectors": len(made.of), "refused": made.refused}
            report[bug] = wrong | counts | found
    print(json.dumps(report))
    for server in (first, second):
        server.close()


if __name__ == "__main__":
    spare_the_tests(commit_faults.strike)
    asyncio.run(main(sys.argv[1], sys.argv[2:] or [""]))
