"""A worker process that asks five carriers at once, each with a quota of its own.

``python -m tests.promises.asking_five DSN SECONDS LEASE PORT:PER_SECOND ...``; the carriers' codes
are those of ``CODES``.
"""

import asyncio
import dataclasses
import sys
from collections.abc import Sequence
from functools import partial

from tests.monitoring import asking_worker
from tests.monitoring.asking_worker import WithTokens

from milepost.carriers.connector import Credential
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Quota
from milepost.carriers.oauth2 import client_tokens, token_request
from milepost.carriers.registry import Carrier, Catalogue

CODES = ("first", "second", "third", "fourth", "fifth")


def catalogue(doors: Sequence[tuple[int, float]]) -> Catalogue:
    """One carrier for each (port, requests a second)."""
    found = Catalogue.load().get("dhl")
    assert found is not None
    made, carriers = {}, {}
    for code, (port, per_second) in zip(CODES, doors, strict=True):
        url = f"http://127.0.0.1:{port}"
        made[code] = WithTokens(url, client_tokens(partial(login, url)))
        quota = Quota(per_second=per_second)
        manifest = dataclasses.replace(found.manifest, code=code, quota=quota)
        carriers[code] = dataclasses.replace(found, manifest=manifest)
    Carrier.connector = lambda self: made[self.manifest.code]  # type: ignore[method-assign]
    return Catalogue(carriers)


def login(url: str, _: Credential) -> Request:
    return token_request(f"{url}/token", "id", "secret")


def main() -> None:
    dsn, seconds, lease, *doors = sys.argv[1:]
    parts = [door.split(":") for door in doors]
    built = catalogue([(int(port), float(rate)) for port, rate in parts])
    vars(asking_worker)["build"] = lambda *_: built
    asyncio.run(asking_worker.work(dsn, 0, float(seconds), 0, float(lease)))


if __name__ == "__main__":
    main()
