"""``milepost events``: the feed on the terminal."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from tests.cli.typed import terminal
from tests.parcels.conftest import registration

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.cli import events
from milepost.db.pool import Pool
from milepost.errors import ConfigurationError
from milepost.notifications.bodies import Bodies
from milepost.notifications.fan_out import FanOut
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer


async def test_the_feed_a_line_an_item(
    dsn: str,
    account: int,
    worker_pool: Pool,
    catalogue: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    typed = terminal(monkeypatch, dsn, tmp_path, [events])
    renderer = Renderer(catalogue, CredentialStore(worker_pool, SecretKeys((b"k" * 40,))), 30)
    registrar = Registrar(worker_pool, renderer, timedelta(days=120))
    for _ in range(2):
        ready = await registrar.prepare(account, registration())
        await registrar.store(account, ready)
    assert await FanOut(worker_pool, renderer, Bodies()).tell(account) == 2

    async def told(*words: str) -> list[dict[str, str]]:
        said = await typed.result("events", *words)
        return [json.loads(line) for line in said.stdout.splitlines()]

    first, second = await told()
    assert {first["type"], second["type"]} == {"parcels.event.created"}
    assert await told("--after", first["cursor"]) == [second]
    assert await told("--after", "latest") == []
    with pytest.raises(ConfigurationError, match="not a place"):
        await told("--after", "made-up")
