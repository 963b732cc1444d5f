"""An installation on a PostgreSQL that a test can trouble, behind a proxy, with a carrier."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.ports import free_port
from tests.chaos.carrier import fake_carrier
from tests.chaos.clients import Load
from tests.chaos.fast import fast_settings
from tests.chaos.installation import Installation, installation
from tests.chaos.ledger import Ledger
from tests.chaos.tcp_proxy import Proxy, tcp_proxy

from milepost.db.cluster import SOCKET_NAME, find_data
from milepost.db.embedded import EmbeddedPostgres
from milepost.db.postmaster import socket_of


@dataclass
class Town:
    """An installation whose database can be troubled."""

    house: Installation
    server: EmbeddedPostgres
    proxy: Proxy
    load: Load


@asynccontextmanager
async def town(
    accounts: int, calls_per_second: int = 1000, *, proxied: bool = True, **more: str
) -> AsyncIterator[Town]:
    """``milepost run`` with so many accounts and variables; nobody asks it anything yet.

    Where the database is not troubled it is not ``proxied``: the proxy lives in this process, so
    whatever else this process does would hold up every statement twice.
    """
    port = free_port()
    with installation(**fast_settings(2), **more) as house:
        server = EmbeddedPostgres(house.settings)
        ledger = Ledger(house.state_dir / "clients.ledger")
        try:
            await house.prepare_on(server, accounts, port, calls_per_second)
            socket = socket_of(find_data(house.state_dir / "postgresql")) / SOCKET_NAME
            async with (
                tcp_proxy(socket) as proxy,
                fake_carrier(house.state_dir / "carrier.ledger", port) as carrier,
            ):
                if proxied:
                    house.variables |= {
                        "MILEPOST_DATABASE_URL": f"postgresql://milepost@127.0.0.1:{proxy.port}"
                        "/milepost?sslmode=disable",
                        "MILEPOST_SECRET_KEY_FILE": str(house.state_dir / "secret.key"),
                    }
                await asyncio.to_thread(house.start)
                yield Town(house, server, proxy, Load([house.port], house.keys, carrier, ledger))
                await asyncio.to_thread(house.stop)
        finally:
            ledger.close()
            await asyncio.to_thread(house.stop)
            await asyncio.to_thread(server.stop)
