"""Calls every address of P14, watched where sockets connect; ``python -m tests.promises.outbound``.

A process of its own, as an audit hook stays for ever; on asyncio's own loop, as uvloop raises no
event. Nothing leaves the machine: the hook refuses what is not on loopback, and there listen we.
"""

import asyncio
import contextlib
import ipaddress
import json
import socket
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from bench.ports import free_port
from tests.promises.outbound_bugs import BUGS
from tests.promises.outbound_vectors import Vector, called, rebinding, vectors

from milepost.egress.client import Bounds, GuardedClient
from milepost.egress.outcomes import Forbidden
from milepost.egress.policy import Policy
from milepost.settings import Settings

ALLOWED = "127.0.0.99"
"""A receiver on loopback that the operator excepted; all it does is to send us elsewhere."""
connected: list[str] = []
names: dict[str, list[list[str]]] = {}
looked_up: dict[str, int] = defaultdict(int)
_system = socket.getaddrinfo


def watch(event: str, told: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not isinstance(told[1], tuple):
        return
    connected.append(told[1][0])
    if not ipaddress.ip_address(told[1][0]).is_loopback:
        raise ConnectionRefusedError(111, "kept inside")


def answer(host: Any, port: Any, *told: Any, **more: Any) -> Any:
    """The system's resolver for numbers of all spellings, and the names of a vector."""
    host = host.rstrip(".") if isinstance(host, str) else host
    if host not in names:
        flags = socket.AI_NUMERICHOST
        host = "127.0.0.1" if host == "localhost" else host
        return _system(host, port, type=socket.SOCK_STREAM, flags=flags)
    turn = min(looked_up[host], len(names[host]) - 1)
    looked_up[host] += 1
    return [found(address, port) for address in names[host][turn]]


def found(address: str, port: Any) -> tuple[Any, ...]:
    bare, _, zone = address.partition("%")
    where = (bare, port or 0) if ":" not in bare else (bare, port or 0, 0, 2 if zone else 0)
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    return family, socket.SOCK_STREAM, 6, "", where


@contextlib.contextmanager
def planted(bug: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    right = [(owner, name, getattr(owner, name)) for owner, name, _ in bug]
    for owner, name, wrong in bug:
        setattr(owner, name, wrong)
    yield
    for owner, name, was in right:
        setattr(owner, name, was)


class Listener:
    """Takes every connection on loopback; on ``ALLOWED`` it redirects to where nobody may go."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.redirect = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        where = writer.get_extra_info("sockname")[0]
        if where != ALLOWED:
            self.reached.append(where)
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 307 Elsewhere\r\nLocation: {self.redirect}\r\n".encode())
        writer.write(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()


async def call_all(listener: Listener, port: int, bug: str) -> dict[str, Any]:
    told: dict[str, Any] = {"sent": [], "dialled": [], "wrongly": [], "vectors": 0, "turned": 0}
    settings = Settings(egress_ports=f"80,443,{port}", egress_allow=f"{ALLOWED}:{port}")
    # A look-up that is remembered would hide one that is made twice.
    async with GuardedClient(Policy.of(settings), Bounds(5, 2)) as client:

        async def call(vector: Vector) -> list[str]:
            connected.clear()
            names.clear()
            url = vector.url.replace("{port}", str(port))
            if vector.answers:
                names[url.split("/")[2].split(":")[0].rstrip(".")] = vector.answers
            outcome = await client.send(url, b"{}", headers={"X-Of": "P14"})
            if not isinstance(outcome, Forbidden) and not connected:
                told["sent"].append([vector.url, repr(outcome)])
            return list(connected)

        with planted(BUGS.get(bug, [])):
            for vector in vectors():
                told["vectors"] += 1
                if dialled := await call(vector):
                    told["wrongly"].append([vector.url, dialled])
            for vector in rebinding():
                told["vectors"] += 1
                dialled = await call(vector)
                told["turned"] += dialled == vector.answers[0]
                if set(dialled) - set(vector.answers[0]):
                    told["wrongly"].append([vector.url, dialled])
            for vector in vectors():
                if not vector.answers and vector.url.isascii() and "[" in vector.url:
                    told["vectors"] += 1
                    listener.redirect = vector.url.replace("{port}", str(port))
                    through = Vector(f"http://{ALLOWED}:{port}/")
                    if set(dialled := await call(through)) - {ALLOWED}:
                        told["wrongly"].append([listener.redirect, dialled])
            for vector in called():
                told["dialled"].append([vector.url, await call(vector)])
    return told


async def main() -> None:
    listener = Listener()
    port = free_port()
    everywhere = [
        await asyncio.start_server(listener.serve, host, port) for host in ("0.0.0.0", "::1")
    ]
    socket.getaddrinfo = answer
    sys.addaudithook(watch)
    report = {}
    for bug in ("", *BUGS):
        listener.reached.clear()
        looked_up.clear()
        report[bug or "none"] = await call_all(listener, port, bug)
        report[bug or "none"]["reached"] = list(listener.reached)
    print(json.dumps(report))
    for one in everywhere:
        one.close()


if __name__ == "__main__":
    asyncio.run(main())
