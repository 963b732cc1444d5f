"""``milepost mapping``: a code that came is mapped, the difference looked at and applied."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from tests.api.own_api import PARCELS, own_api
from tests.cli.typed import KEY, Terminal, terminal
from tests.parcels.conftest import registration
from tests.tracking.order_free import poll, scan_at

from milepost.cli import mappings
from milepost.cli.run import run_processes
from milepost.db.pool import Pool, tenant
from milepost.errors import ConfigurationError
from milepost.settings import Settings
from milepost.wiring import CoreParts, core_parts

UNKNOWN = "unknown unknown warning unknown"
MAPPING = """
[dpd]
mapping_version = 3
status = [{ raw = "X7", reading = ["delivered", "none", "success", "none"] }]
"""


async def parcel(core: CoreParts, account: int) -> int:
    """A parcel that DPD told of with a code that nobody knows."""
    await core.registrar.register(account, registration(carrier_code="dpd"))
    async with tenant(core.pool, account) as conn:
        made = int(await conn.fetchval("SELECT max(parcel_id) FROM parcel"))
    now = datetime.now(UTC)
    told = poll(2, scan_at(60, "X7", UNKNOWN))
    told = type(told)("dpd", "poll", now - timedelta(hours=1), told.scans, complete=True)
    await core.recorder.record(account, made, told, now, lambda *_: None)
    return made


async def statuses(pool: Pool, account: int) -> list[str]:
    async with tenant(pool, account) as conn:
        rows = await conn.fetch("SELECT status FROM parcel ORDER BY parcel_id")
    return [row[0] for row in rows]


@pytest.fixture
async def typed(
    dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, account: int
) -> Terminal:
    """Six parcels, more than are kept at once, with a code whose mapping nobody has applied yet."""
    made = terminal(monkeypatch, dsn, tmp_path, [mappings])
    chosen = Settings(database_url=SecretStr(dsn), secret_key=SecretStr(KEY))
    async with core_parts(chosen, "milepost_worker") as core:
        for _ in range(6):
            await parcel(core, account)
        await core.recorder.unmapped.keep(core.pool)
    file = tmp_path / "mappings.toml"
    file.write_text(MAPPING)
    monkeypatch.setenv("MILEPOST_MAPPINGS", str(file))
    return made


async def test_a_code_is_found_dismissed_and_mapped(typed: Terminal, account: int) -> None:
    (one,) = await typed.told("mapping", "inbox", "--carrier", "dpd", "--all")
    assert (one["raw_code"], one["events"], one["state"]) == ("X7", 6, "mapped")
    assert one["examples"] == [], "what accounts were told is not the whole installation's"
    (own,) = await typed.told("mapping", "inbox", "--account", str(account), "--all")
    assert {example["raw_text"] for example in own["examples"]} == {"Text X7"}
    assert await typed.told("mapping", "inbox") == [], "a rule is there by now"
    await typed.result("mapping", "dismiss", "dpd", "X7")
    with pytest.raises(ConfigurationError, match="not in the inbox of dpd: X8"):
        await typed.result("mapping", "dismiss", "dpd", "X8")


async def gone(connection: "asyncpg.Connection[asyncpg.Record]", since: datetime) -> None:
    """Until the sessions that began after ``since`` are over: what a killed process had sent is
    carried out, and counts."""
    left = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND backend_start > $1"
    )
    async with asyncio.timeout(60):
        while await connection.fetchval(left, since):
            await asyncio.sleep(0.02)


async def test_killed_at_any_time_and_run_again(
    typed: Terminal, app_pool: Pool, account: int, dsn: str
) -> None:
    difference = await typed.told("mapping", "preview")
    assert (difference["parcels_changed"], difference["ended"]) == (6, 6)
    (code,) = difference["codes"]
    assert (code["code"], code["after"]["phase"], code["events"]) == ("X7", "delivered", 6)
    before = await statuses(app_pool, account)
    assert len(set(before)) == 1
    more: dict[str, Any] = {"MILEPOST_FAILPOINT": "poll.after_commit"}
    file = Path(typed.variables["MILEPOST_STATE_DIR"]) / "mappings.toml"
    more["MILEPOST_MAPPINGS"] = str(file)
    watcher = await asyncpg.connect(dsn)
    since = await watcher.fetchval("SELECT clock_timestamp()")
    killed = await typed.process("mapping", "apply", "--yes", **more)
    assert killed.returncode == -9, killed.stderr
    await gone(watcher, since)
    await watcher.close()
    half = await statuses(app_pool, account)
    assert set(half) == {before[0], "DELIVERED"}
    done = await typed.told("mapping", "apply", "--yes", "--account", str(account))
    assert done["parcels_changed"] == half.count(before[0])
    assert await statuses(app_pool, account) == ["DELIVERED"] * 6
    assert (await typed.told("mapping", "preview"))["parcels_changed"] == 0
    async with tenant(app_pool, account) as conn:
        versions = await conn.fetch("SELECT mapping_version FROM event WHERE raw_code = 'X7'")
    assert {row[0] // 1000 for row in versions} == {3}, "the operator's, above the manifest's"


async def test_an_explanation_names_the_mapping_that_was_applied(
    typed: Terminal, dsn: str, account: int
) -> None:
    await typed.told("mapping", "apply", "--yes", "--account", str(account))
    async with own_api(dsn, account) as (client, _):
        (some, *_rest) = (await client.get(PARCELS)).document["data"]
        told = (await client.get(f"{PARCELS}/{some['parcel_id']}/explain")).document
    decided = told["decided_by"]
    assert (told["status"]["code"], told["status_rule"]["code"]) == ("DELIVERED", "handed_over")
    assert (decided["raw_code"], decided["raw_text"], decided["source"]) == (
        "X7",
        "Text X7",
        "poll",
    )
    assert (decided["mapping_version"] // 1000, decided["verdict"]) == (3, "moved")
    (event,) = [one for one in told["events"] if one["event_id"] == decided["event_id"]]
    assert event["mapping_version"] == decided["mapping_version"]
    assert [seen["source"] for seen in event["seen"]] == ["poll"]


def test_a_server_does_not_start_with_a_wrong_one(tmp_path: Path) -> None:
    async def ready(*_: object) -> None:
        pytest.fail("it started")

    wrong = Settings(state_dir=tmp_path, mappings=tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match="can't be read"):
        run_processes(wrong, api=True, worker=True, on_ready=ready)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[nobody]\nmapping_version = 1", "no carrier has the code 'nobody'"),
        ("[postnl_large]\nmapping_version = 1", "say postnl"),
        ("[dpd]\nmapping_version = 0", "dpd.mapping_version"),
        ("[dpd]\nmapping_version = 1\nstatus = [{ raw = 'A' }]", "dpd.status.0.reading"),
        ("[dpd", "mappings.toml"),
        (None, "can't be read"),
    ],
)
async def test_a_mapping_that_is_wrong_is_one_line(
    typed: Terminal, tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "mappings.toml"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        await typed.result("mapping", "preview")
