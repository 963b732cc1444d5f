"""All carriers on one loopback socket; a documented host is the first part of the path there."""

import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, unquote, urlsplit

from aiohttp import web
from tests.loopback import sides
from tests.loopback.asked import Asked, Misasked, Refusing, Told
from tests.loopback.side import Side


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: a question, and with which status it was answered."""

    code: str
    asked: Asked
    host: str
    told: Told
    refused: bool
    """By the carrier, as by its documents it would be."""


@dataclass
class CarrierServer:
    """What all sides were asked, and what was asked that no carrier documents."""

    sides: dict[str, Side]
    base_url: str = ""
    ledger: list[Entry] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What nobody documents, and was asked all the same."""

    def __post_init__(self) -> None:
        self._doors = [(side, *door) for side in self.sides.values() for door in side.doors()]

    @property
    def routes(self) -> dict[str, str]:
        """For the fetcher: each documented host leads here."""
        hosts = {host for _, _, host, _, _ in self._doors}
        return {host: f"{self.base_url}/{host}" for host in hosts}

    async def answer(self, request: web.Request) -> web.Response:
        host, path = request.match_info["host"], "/" + request.match_info["path"]
        query = {name: request.query.getall(name) for name in request.query}
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, path, query, headers, await request.read(), {})
        told = self.tell(host, asked)
        return web.Response(status=told.status, body=told.body, headers=told.headers)

    def tell(self, host: str, asked: Asked) -> Told:
        """The answer to a question at a host; what is not documented is a fault, and a 400."""
        for side, method, its_host, path, handler in self._doors:
            parts = path.fullmatch(asked.path)
            if (method, its_host) == (asked.method, host) and parts is not None:
                return self._told(side, host, replace(asked, parts=parts.groupdict()), handler)
        self.faults.append(f"nobody takes {asked.method} {host}{asked.path}")
        return Told(404, b"no such door")

    def _told(self, side: Side, host: str, asked: Asked, handler: Callable[[Asked], Told]) -> Told:
        try:
            told, refused = handler(asked), False
        except Refusing as refusing:
            told, refused = refusing.told, True
        except Misasked as wrong:
            self.faults.append(f"{side.code}: {wrong}")
            told, refused = Told(400, b"not as documented"), True
        self.ledger.append(Entry(side.code, asked, host, told, refused))
        return told


def hosts_of(code: str) -> set[str]:
    """The documented hosts of a carrier."""
    return {host for _, host, _, _ in all_sides()[code]().doors()}


def asked_in(head: bytes, body: bytes) -> Asked:
    """The question in a request as it came over the socket."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    url = urlsplit(target)
    told = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in told}
    query = parse_qs(url.query, keep_blank_values=True)
    return Asked(method, unquote(url.path), query, headers, body, {})


def all_sides() -> dict[str, type[Side]]:
    """Every carrier that is described in ``sides``, by its code."""
    found: dict[str, type[Side]] = {}
    for module in pkgutil.iter_modules(sides.__path__, f"{sides.__name__}."):
        for _, one in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(one, Side) and one is not Side:
                found[one.code] = one
    return found


@asynccontextmanager
async def carrier_server(codes: Iterable[str] = ()) -> AsyncIterator[CarrierServer]:
    """A running server of these carriers, or of all."""
    known = all_sides()
    server = CarrierServer({code: known[code]() for code in codes or known})
    app = web.Application()
    app.router.add_route("*", "/{host}/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
