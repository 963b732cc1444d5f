"""``milepost export``: what comes out goes in again, runs in no spreadsheet, is complete."""

import csv
import json
from pathlib import Path

import pytest
from tests.cli.typed import Terminal, terminal

from milepost.cli import exports, imports
from milepost.db.pool import Pool, tenant
from milepost.errors import ConfigurationError
from milepost.parcels import held

COLUMNS = (
    "tracking_number,carrier_code,announced_at,source_id,from_postal_code,from_country_code,"
    "to_postal_code,to_country_code,to_name,to_phone_number,weight,weight_unit,is_return"
)
NAMES = ("=1+1", "@x", "\tx", "＝1", 'a "b", c', "two\nlines", "-", "Zoë", "plain")


@pytest.fixture
def typed(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    return terminal(monkeypatch, dsn, tmp_path, [exports, imports])


@pytest.fixture
async def filled(typed: Terminal, tmp_path: Path, account: int) -> Path:
    """An account with a parcel for each odd name; the file they came from."""
    path = tmp_path / "in.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS.split(","))
        for n, name in enumerate(NAMES):
            number = ["slowpost", "2026-01-05T09:00:00Z", f"s{n}", "5611EM", "NL", "8011PK", "NL"]
            table.writerow([f"N{n}", *number, name, "+31612345678", "1.5", "kg", "yes"])
    assert (await typed.told("import", str(path)))["registered"] == len(NAMES)
    return path


async def lines(typed: Terminal, *words: str) -> list[str]:
    result = await typed.result("export", *words)
    assert result.exit_code == 0, result.output
    return result.stdout_bytes.decode().splitlines()


@pytest.mark.usefixtures("filled")
async def test_no_cell_is_a_formula_and_it_can_be_imported_again(
    typed: Terminal, tmp_path: Path, app_pool: Pool, account: int
) -> None:
    out = tmp_path / "out.csv"
    assert (await typed.result("export", "--output", str(out))).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert b"\r\n" in out.read_bytes()
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r＝＋－＠")]
    assert rows[0]["to_name"] == "'=1+1"
    assert (rows[0]["status"], rows[0]["monitoring"]) == ("ANNOUNCED", "not_supported")
    async with tenant(app_pool, account) as conn:
        before = await conn.fetch("SELECT request, announced_at FROM parcel ORDER BY parcel_id")
        await conn.execute("UPDATE tracked_number SET is_current = false")
        await conn.execute("UPDATE parcel SET is_current = false")
    words = ("import", str(out), "--other-columns", "--verdicts", str(tmp_path / "v"))
    assert (await typed.told(*words))["registered"] == len(NAMES)
    async with tenant(app_pool, account) as conn:
        after = await conn.fetch(
            "SELECT request, announced_at FROM parcel WHERE is_current ORDER BY parcel_id"
        )
    assert after == before


@pytest.mark.usefixtures("filled")
async def test_pages_and_filters(
    typed: Terminal, monkeypatch: pytest.MonkeyPatch, app_pool: Pool, account: int
) -> None:
    monkeypatch.setattr(held, "PAGE", 2)
    async with tenant(app_pool, account) as conn:
        await conn.execute("UPDATE parcel SET carrier_code = 'other' WHERE tracking_number = 'N5'")
    documents = [json.loads(line) for line in await lines(typed, "--format", "ndjson", "--events")]
    assert [one["tracking_number"] for one in documents] == [f"N{n}" for n in range(len(NAMES))]
    assert [one["to_address"]["name"] for one in documents] == list(NAMES)
    assert len(documents[0]["events"]) == 1
    some = await lines(typed, "--format", "ndjson", "--carrier", "Other")
    assert [json.loads(line)["tracking_number"] for line in some] == ["N5"]
    assert await lines(typed, "--format", "ndjson", "--created-from", "2090-01-01") == []
    assert await lines(typed, "--format", "ndjson", "--status", "DELIVERED") == []
    assert len(await lines(typed, "--format", "ndjson", "--created-before", "2090-01-01")) == 9


@pytest.mark.usefixtures("filled")
async def test_everything_held_about_a_parcel(
    typed: Terminal, app_pool: Pool, account: int
) -> None:
    [told] = json.loads("\n".join(await lines(typed, "--everything", "--number", "n 0")))
    async with tenant(app_pool, account) as conn:
        await conn.execute(
            "UPDATE parcel SET v3_answer = '{\"a\": 1}' WHERE tracking_number = 'N0'"
        )
    [by_id] = json.loads(
        "\n".join(await lines(typed, "--everything", "--parcel", told["parcel_id"]))
    )
    held = by_id["held"]
    assert {"parcel", "tracked_number", "event", "watch", "outbox", "parcel_search"} <= set(held)
    assert held["parcel"][0]["request"]["to_address"]["name"] == "=1+1"
    assert held["parcel"][0]["v3_answer"] == {"a": 1}
    with pytest.raises(ConfigurationError, match="nothing is held"):
        await lines(typed, "--everything", "--number", "N99")
    with pytest.raises(ConfigurationError, match="--number or --parcel"):
        await lines(typed, "--everything")


@pytest.mark.usefixtures("filled")
async def test_another_account_exports_nothing_of_it(typed: Terminal, admin_pool: Pool) -> None:
    await admin_pool.execute("INSERT INTO account (name) VALUES ('other')")
    assert await lines(typed, "--account", "other", "--format", "ndjson") == []
    with pytest.raises(ConfigurationError, match="nothing is held"):
        await lines(typed, "--account", "other", "--everything", "--parcel", "1")


async def test_nothing_is_left_of_an_export_that_fails(typed: Terminal, tmp_path: Path) -> None:
    out = tmp_path / "held.json"
    with pytest.raises(ConfigurationError, match="no account yet"):
        await typed.result("export", "--everything", "--number", "none", "--output", str(out))
    assert not list(tmp_path.glob("held.json*"))


async def test_a_wrong_time_is_one_line(typed: Terminal) -> None:
    with pytest.raises(ConfigurationError, match="--created-from: Not an ISO 8601"):
        await typed.result("export", "--created-from", "yesterday")
