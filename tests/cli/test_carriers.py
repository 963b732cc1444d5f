"""``milepost carrier``: catalogue, samples, one question, logins."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from tests.carriers.dhl_server import API_KEY, HOST, dhl_server
from typer.testing import CliRunner, Result

from milepost import settings
from milepost.carriers import registry
from milepost.carriers.registry import Catalogue
from milepost.cli import carriers
from milepost.cli.carrier_logins import fields_from
from milepost.db.pool import Pool
from milepost.errors import ConfigurationError

SELDOM = {"calls_per_second": "0.02", "calls_per_day": "1e6"}
"""A question in 50 s: on a busy machine the second still comes too soon, and a first that missed
its time, which would be minutes with the quota that DHL gives everybody, can wait for another."""
SHIPMENT = {
    "shipments": [
        {
            "id": "3318810025",
            "service": "express",
            "events": [
                {
                    "timestamp": "2026-03-12T08:02:00",
                    "statusCode": "transit",
                    "status": "Shipment is out with courier for delivery",
                }
            ],
        }
    ]
}


@dataclass
class Shell:
    """Types ``milepost ...`` with this test's database."""

    app: typer.Typer

    async def run(self, *words: str, piped: str = "") -> Result:
        return await asyncio.to_thread(lambda: CliRunner().invoke(self.app, words, input=piped))


@pytest.fixture
def shell(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("MILEPOST_DATABASE_URL", dsn)
    monkeypatch.setenv("MILEPOST_SECRET_KEY", "k" * 40)
    settings.load.cache_clear()
    app = typer.Typer()
    carriers.add_to(app)
    yield Shell(app)
    settings.load.cache_clear()


@pytest.fixture
def catalogue_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The catalogue in a folder that may be written to."""
    copy = tmp_path / "catalogue"
    shutil.copytree(registry.catalogue_folder(), copy)
    monkeypatch.setattr(registry, "catalogue_folder", lambda: copy)
    return copy


async def test_list_names_every_carrier(shell: Shell) -> None:
    rows = json.loads((await shell.run("carrier", "list", "--json")).stdout)
    assert {row["code"] for row in rows} == {one.manifest.code for one in Catalogue.load()}
    assert "dhl" in (await shell.run("carrier", "list")).stdout


async def test_check_is_right_for_the_whole_catalogue(shell: Shell) -> None:
    result = await shell.run("carrier", "check", "--all", "--json")
    assert result.exit_code == 0
    assert {row["result"] for row in json.loads(result.stdout)} == {"right"}


async def test_check_notices_a_changed_reading_and_rewrites_it(
    shell: Shell, catalogue_copy: Path
) -> None:
    manifest = catalogue_copy / "dhl" / "manifest.toml"
    manifest.write_text(manifest.read_text().replace('"neighbour"]', '"mailbox"]'))
    assert (await shell.run("carrier", "check", "dhl")).exit_code == 1
    assert (await shell.run("carrier", "check", "dhl", "--all")).exit_code == 2
    rewritten = await shell.run("carrier", "check", "dhl", "--rewrite", "--json")
    results = {row["checked"]: row["result"] for row in json.loads(rewritten.stdout)}
    assert results["parcel-de-neighbour-autumn-night"] == "rewritten"
    assert (await shell.run("carrier", "check", "dhl")).exit_code == 0
    expected = catalogue_copy / "dhl/samples/parcel-de-neighbour-autumn-night.expected.json"
    assert json.loads(expected.read_text())["item"]["postal_code"] == "20095"


async def test_try_tells_a_simulated_story(shell: Shell) -> None:
    told = await shell.run("carrier", "try", "sandbox", "SBX-HAPPY-1", "--days-ago", "2", "--json")
    document = json.loads(told.stdout)
    assert document["kind"] == "Found"
    assert document["scans"][-1]["reading"] == {"phase": "delivered"}
    assert "delivered" in (await shell.run("carrier", "try", "sandbox", "SBX-HAPPY-1")).stdout


async def test_try_asks_a_real_carrier_with_the_login_that_was_set(
    shell: Shell, admin_pool: Pool, account: int
) -> None:
    async with dhl_server() as server:
        server.shipments["3318810025"] = SHIPMENT
        await admin_pool.execute(
            "INSERT INTO host_route (host, base_url) VALUES ($1, $2)", HOST, server.base_url
        )
        none = await shell.run("carrier", "try", "dhl", "3318810025")
        assert isinstance(none.exception, ConfigurationError)
        wrong = json.dumps({"api_key": "not the key", **SELDOM})
        await shell.run("carrier", "credentials", "set", "dhl", piped=wrong)
        login = json.dumps({"api_key": API_KEY, "calls_per_second": "20", "calls_per_day": "1e6"})
        own = ("--account", str(account))
        done = await shell.run("carrier", "credentials", "set", "dhl", *own, piped=login)
        assert API_KEY not in done.output
        common = await shell.run("carrier", "try", "dhl", "3318810025", "--json")
        assert json.loads(common.stdout)["credential_refused"]
        assert common.exit_code == 1
        await admin_pool.execute(
            "INSERT INTO carrier_budget (carrier_code, owner, open_until) VALUES"
            " ('dhl', $1, now() - interval '1 s')",
            f"account:{account}",
        )
        found = await shell.run("carrier", "try", "dhl", "3318810025", *own, "--json")
        assert json.loads(found.stdout)["kind"] == "Found"
        state = await shell.run("carrier", "state")
        assert "Every carrier is asked" in state.stdout, "it was the probe"
        again = await shell.run("carrier", "try", "dhl", "3318810025")
        assert isinstance(again.exception, ConfigurationError)
        assert "the quota at DHL" in str(again.exception)
    assert [asked["key"] for asked in server.asked] == ["not the key", API_KEY]
    kept = await admin_pool.fetchval("SELECT sealed FROM operator_credential")
    assert b"not the key" not in kept


async def test_a_code_of_another_is_asked_with_its_login_and_more(
    shell: Shell, admin_pool: Pool
) -> None:
    """``dhl_ecommerce`` is a part of DHL's unified interface."""
    async with dhl_server() as server:
        server.shipments["3318810025"] = SHIPMENT
        await admin_pool.execute(
            "INSERT INTO host_route (host, base_url) VALUES ($1, $2)", HOST, server.base_url
        )
        login = json.dumps({"api_key": API_KEY, "service": "express", **SELDOM})
        done = await shell.run(
            "carrier", "credentials", "set", "dhl_ecommerce", "--json", piped=login
        )
        assert json.loads(done.stdout)["carrier"] == "dhl"
        found = await shell.run("carrier", "try", "dhl_ecommerce", "3318810025", "--json")
        assert json.loads(found.stdout)["kind"] == "Found"
        assert [asked["service"] for asked in server.asked] == ["ecommerce"]
        budgets = await admin_pool.fetch("SELECT carrier_code, owner FROM carrier_budget")
        assert [tuple(row) for row in budgets] == [("dhl", "operator")]
        live = await admin_pool.fetch("SELECT carrier_code FROM carrier_live")
        assert [row["carrier_code"] for row in live] == ["dhl_ecommerce"]
        waits = await shell.run("carrier", "try", "dhl", "3318810025")
        assert "the quota at DHL" in str(waits.exception), "one quota for both"
    assert (await shell.run("carrier", "pause", "dhl_ecommerce")).exit_code == 0
    (row,) = json.loads((await shell.run("carrier", "state", "--json")).stdout)
    assert row["carrier_code"] == "dhl"


async def test_a_removed_login_is_gone(shell: Shell, admin_pool: Pool) -> None:
    await shell.run("carrier", "credentials", "set", "dhl", piped="key")
    assert await admin_pool.fetchval("SELECT count(*) FROM operator_credential") == 1
    await shell.run("carrier", "credentials", "remove", "dhl")
    assert await admin_pool.fetchval("SELECT count(*) FROM operator_credential") == 0


@pytest.mark.parametrize(
    ("words", "piped", "line"),
    [
        (("check", "nobody"), "", "no carrier 'nobody' is known"),
        (("try", "hurby", "3SDEVC288882229"), "", "can't ask Hurby yet"),
        (("credentials", "set", "hurby"), "x", "needs no login"),
        (("credentials", "set", "dhl"), "", "api_key is missing"),
        (("credentials", "set", "dhl"), '{"api_key": "x", "pin": "1"}', "no field 'pin'"),
        (("credentials", "set", "dhl"), '{"api_key": ', "not a JSON object"),
        (("credentials", "set", "dhl"), "a\nb", "unprintable"),
        (("credentials", "set", "sandbox"), "x", "give a JSON object"),
        (("credentials", "set", "dhl", "--account", "nobody"), "x", "nobody"),
    ],
)
async def test_a_mistake_is_one_line(
    shell: Shell, words: tuple[str, ...], piped: str, line: str
) -> None:
    result = await shell.run("carrier", *words, piped=piped)
    assert isinstance(result.exception, ConfigurationError)
    assert line in str(result.exception)
    assert result.exit_code == 1


def test_the_terminal_is_asked_for_each_field(monkeypatch: pytest.MonkeyPatch) -> None:
    carrier = Catalogue.load().get("dhl")
    assert carrier is not None
    monkeypatch.setattr("getpass.getpass", lambda _: " key ")
    monkeypatch.setattr("builtins.input", lambda _: "")
    assert fields_from(carrier.manifest, None) == {"api_key": "key"}


async def test_a_paused_carrier_is_not_asked_and_says_so(shell: Shell) -> None:
    assert "Every carrier is asked" in (await shell.run("carrier", "state")).stdout
    await shell.run("carrier", "credentials", "set", "dhl", piped="x")
    assert (await shell.run("carrier", "pause", "dhl")).exit_code == 0
    (row,) = json.loads((await shell.run("carrier", "state", "--json")).stdout)
    assert (row["carrier_code"], row["state"]) == ("dhl", "paused")
    tried = await shell.run("carrier", "try", "dhl", "3318810025")
    assert isinstance(tried.exception, ConfigurationError)
    assert "milepost carrier resume dhl" in str(tried.exception)
    assert (await shell.run("carrier", "resume", "dhl")).exit_code == 0
    assert json.loads((await shell.run("carrier", "state", "--json")).stdout) == []
