"""A worker process that asks a carrier with tokens as fast as its slots allow.

``python -m tests.monitoring.asking_worker DSN PORT SECONDS PER_SECOND LEASE [alone|believing]``:
the planted faults are to count for itself ``alone``, and ``believing`` in leases for ever. It says
when it is ready, and begins with a line of input or its end.
"""

import asyncio
import dataclasses
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import tests.unhurried  # noqa: F401

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.connector import Broken, Credential, Item, NotFound, Outcome
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.manifest import Quota
from milepost.carriers.oauth2 import client_tokens, token_request
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.tokens import Tokens
from milepost.db.pool import open_pool
from milepost.monitoring.check import Checker
from milepost.monitoring.claim import due_lanes
from milepost.monitoring.leases import Leases
from milepost.monitoring.plan import Planning
from milepost.monitoring.slots import Budget
from milepost.parcels.record import Recorder
from milepost.parcels.render import Renderer
from milepost.settings import Settings

KEY = b"k" * 40


@dataclasses.dataclass
class WithTokens:
    """Two requests for each parcel, and a token now and then."""

    base_url: str
    tokens: Tokens

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        for path in ("track", "details"):
            answer = await self.tokens.fetch(carrier, credential, self.request(path))
            if not isinstance(answer, Answer):
                return {item: Broken(answer.why) for item in items}
        return {item: NotFound() for item in items}

    def request(self, path: str) -> "Requests":
        return Requests(f"{self.base_url}/{path}")


@dataclasses.dataclass
class Requests:
    url: str

    def __call__(self, token: str) -> Request:
        return Request(self.url, headers={"Authorization": f"Bearer {token}"})


def build(base_url: str, per_second: float) -> Catalogue:
    """The catalogue with one carrier changed: another quota, another connector."""
    found = Catalogue.load().get("dhl")
    assert found is not None
    manifest = dataclasses.replace(found.manifest, quota=Quota(per_second=per_second))
    tokens = client_tokens(lambda _: token_request(f"{base_url}/token", "id", "secret"))
    made = WithTokens(base_url, tokens)
    Carrier.connector = lambda self: made  # type: ignore[method-assign]
    return Catalogue({"dhl": dataclasses.replace(found, manifest=manifest)})


async def work(dsn: str, port: int, seconds: float, per_second: float, lease: float) -> None:
    settings = Settings(state_dir=Path("/nonexistent"))
    catalogue = build(f"http://127.0.0.1:{port}", per_second)
    async with await open_pool(dsn, "milepost_worker", settings) as pool, Fetcher() as fetcher:
        credentials = CredentialStore(pool, SecretKeys((KEY,)))
        renderer = Renderer(catalogue, credentials, 30)
        recorder = Recorder(pool, renderer)
        checker = Checker(
            pool,
            catalogue,
            credentials,
            recorder,
            fetcher,
            Planning(settings),
            timedelta(seconds=lease),
        )
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            lanes = await due_lanes(pool, 8)
            await asyncio.gather(*(checker.check(lane) for lane in lanes))
            await asyncio.sleep(0.05)


def main() -> None:
    dsn, port, seconds, per_second, lease, *mode = sys.argv[1:]
    if mode == ["alone"]:
        told = Budget.__init__

        def alone(self: Budget, carrier_code: str, owner: str, quota: Quota) -> None:
            told(self, carrier_code, f"{owner} of {os.getpid()}", quota)

        Budget.__init__ = alone  # type: ignore[method-assign]
    if mode == ["believing"]:
        Leases.check = lambda self, rows: None  # type: ignore[method-assign]
    asyncio.run(work(dsn, int(port), float(seconds), float(per_second), float(lease)))


if __name__ == "__main__":
    main()
