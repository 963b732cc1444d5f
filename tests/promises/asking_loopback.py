"""A worker process that asks carriers by their own protocols, each with a quota of this test's.

``python -m tests.promises.asking_loopback DSN SECONDS LEASE CODE:PORT:PER_SECOND ...``
"""

import asyncio
import dataclasses
import sys
from collections.abc import Sequence
from functools import partial

import tests.unhurried  # noqa: F401
from tests.loopback.server import hosts_of
from tests.monitoring import asking_worker

from milepost.carriers.fetcher import Fetcher
from milepost.carriers.manifest import Quota
from milepost.carriers.registry import Catalogue


def catalogue(doors: Sequence[tuple[str, int, float]]) -> Catalogue:
    """The real carriers with other quotas."""
    carriers, known = {}, Catalogue.load()
    for code, _, per_second in doors:
        found = known.get(code)
        assert found is not None
        manifest = dataclasses.replace(found.manifest, quota=Quota(per_second=per_second))
        carriers[code] = dataclasses.replace(found, manifest=manifest)
    return Catalogue(carriers)


def main() -> None:
    dsn, seconds, lease, *told = sys.argv[1:]
    parts = [door.split(":") for door in told]
    doors = [(code, int(port), float(rate)) for code, port, rate in parts]
    routes = {
        host: f"http://127.0.0.1:{port}" for code, port, _ in doors for host in hosts_of(code)
    }
    built = catalogue(doors)
    vars(asking_worker)["build"] = lambda *_: built
    vars(asking_worker)["Fetcher"] = partial(Fetcher, routes=routes)
    asyncio.run(asking_worker.work(dsn, 0, float(seconds), 0, float(lease)))


if __name__ == "__main__":
    main()
