"""A carrier's host on a real socket of this machine."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache

from aiohttp import web

from milepost.carriers.connector import Connector, Credential, Item, Outcome
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Carrier, Catalogue


@asynccontextmanager
async def serving(routes: Sequence[web.RouteDef], *hosts: str) -> AsyncIterator[Fetcher]:
    """A fetcher for which all of ``hosts`` are served with ``routes``."""
    async with (
        listening(routes) as base_url,
        Fetcher(routes=dict.fromkeys(hosts, base_url)) as fetcher,
    ):
        yield fetcher


@asynccontextmanager
async def listening(routes: Sequence[web.RouteDef]) -> AsyncIterator[str]:
    """Where ``routes`` are served."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@lru_cache(maxsize=1)
def _catalogue() -> Catalogue:
    return Catalogue.load()


def carrier(code: str) -> Carrier:
    """The carrier with this code."""
    found = _catalogue().get(code)
    assert found is not None
    return found


def connector(code: str) -> Connector:
    """A connector of its own, which knows no token yet."""
    made = replace(carrier(code)).connector()
    assert made is not None
    return made


def sample(code: str, name: str) -> bytes:
    """One of its sample answers."""
    return (carrier(code).folder / "samples" / name).read_bytes()


async def ask(made: Connector, number: str, login: Credential, fetcher: Fetcher) -> Outcome:
    """What ``made`` finds out about one number."""
    item = Item("1", number)
    return (await made.ask([item], login, fetcher))[item]
