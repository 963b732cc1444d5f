"""``milepost import --from``: exports of other tools, with their past, once, and in silence."""

import csv
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.cli.typed import Terminal, terminal

from milepost.cli import imports
from milepost.db.pool import Pool, tenant
from milepost.parcels.record_many import MOST

EXPORTS = Path(__file__).parents[1] / "movein" / "exports"


@pytest.fixture
def typed(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    return terminal(monkeypatch, dsn, tmp_path, [imports])


def export(folder: Path, name: str) -> str:
    shutil.copy(EXPORTS / name, folder / name)
    return str(folder / name)


def verdicts(path: Path) -> dict[str, tuple[str, str]]:
    with path.open(newline="") as file:
        return {cells[1]: (cells[2], cells[3]) for cells in list(csv.reader(file))[1:]}


async def parcels(pool: Pool, account_id: int) -> dict[str, dict[str, Any]]:
    async with tenant(pool, account_id) as conn:
        rows = await conn.fetch(
            "SELECT p.tracking_number, p.carrier_code, p.status, p.ended_at, p.request, p.extra,"
            " w.due_at = 'infinity' AS asleep, w.last_checked_at,"
            " (SELECT count(*) FROM event e WHERE e.account_id = p.account_id"
            "  AND e.parcel_id = p.parcel_id) AS events,"
            " (SELECT count(*) FROM outbox o WHERE o.account_id = p.account_id"
            "  AND o.parcel_id = p.parcel_id) AS told"
            " FROM parcel p JOIN watch w USING (account_id, parcel_id)"
        )
    return {row["tracking_number"]: dict(row) for row in rows}


async def every_row(pool: Pool, account_id: int) -> dict[str, int]:
    async with tenant(pool, account_id) as conn:
        tables = await conn.fetch(
            "SELECT relname FROM pg_class WHERE has_table_privilege(oid, 'SELECT')"
            " AND relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return {
            row["relname"]: await conn.fetchval(f'SELECT count(*) FROM "{row["relname"]}"')
            for row in tables
            if row["relname"] != "alembic_version"
        }


async def test_trackings_of_aftership_come_with_their_past_and_nobody_is_told(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    file = export(tmp_path, "aftership.json")
    summary = await typed.told("import", file, "--from", "aftership")
    assert {"rows": 3, "registered": 3, "events": 7, "ended": 1}.items() <= summary.items()
    assert summary["unknown_carriers"] == "yunexpress (1)"
    assert summary["left_out"] == ("note (1), custom_fields (1), further emails (1)")
    told = verdicts(Path(f"{file}.verdicts.csv"))
    assert told["00340434161094000011"] == ("registered", "4 events; ended, not watched")
    assert told["3SABCD0000001"] == (
        "registered",
        "3 events; 1 event without a time we can read left out",
    )
    assert told["YT0000000000000001"] == (
        "registered",
        "carrier yunexpress is none of ours: kept as it is, not watched",
    )
    kept = await parcels(app_pool, account)
    over, open_still = kept["00340434161094000011"], kept["3SABCD0000001"]
    assert (over["carrier_code"], over["status"], over["events"]) == ("dhl_de", "DELIVERED", 5)
    assert (over["asleep"], over["last_checked_at"], over["extra"]) == (
        True,
        None,
        {"signed_by": "Brandt"},
    )
    assert (open_still["status"], open_still["asleep"]) == ("DELAYED", False)
    assert [one["told"] for one in kept.values()] == [0, 0, 0]
    request = over["request"]
    assert request["to_address"] == {
        "name": "Ilse Brandt",
        "email": "ilse@example.org",
        "phone_number": "+4915100000001",
        "city": "Köln",
        "postal_code": "50667",
        "country_code": "DE",
    }
    assert request["shipment"] == {
        "external_reference_id": "Two mugs",
        "source_id": "k1m9a0p7x2q4w8e6r3t5y1u0",
        "order": {"order_number": "#1001", "source_external_id": "9001"},
    }
    assert kept["YT0000000000000001"]["carrier_code"] == "yunexpress"


async def test_a_dry_run_says_the_same_and_writes_nothing(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    file = export(tmp_path, "aftership.csv")
    before = await every_row(app_pool, account)
    words = ("import", file, "--from", "aftership")
    dry = await typed.told(*words, "--dry-run", code=imports.EXIT_REFUSED)
    assert await every_row(app_pool, account) == before
    rehearsed = verdicts(Path(f"{file}.dry-run.csv"))
    done = await typed.told(*words, code=imports.EXIT_REFUSED)
    assert verdicts(Path(f"{file}.verdicts.csv")) == rehearsed
    same = dry.keys() - {"dry_run", "seconds", "verdicts"}
    assert {name: dry[name] for name in same} == {name: done[name] for name in same}
    assert {"registered": 2, "refused": 2, "done_before": 0}.items() <= done.items()
    again = await typed.told(*words, "--dry-run", code=imports.EXIT_REFUSED)
    assert {"registered": 0, "exists": 2}.items() <= again.items()


async def test_a_second_run_doubles_nothing_and_another_tools_past_is_left_out(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    file = export(tmp_path, "karrio.json")
    await typed.told("import", file, "--from", "karrio")
    before = await every_row(app_pool, account)
    Path(f"{file}.verdicts.csv").unlink()
    assert (await typed.told("import", file, "--from", "karrio"))["exists"] == 2
    assert await every_row(app_pool, account) == before
    other = tmp_path / "other.json"
    scan = {"checkpoint_time": "2026-02-04T14:15:00", "tag": "Delivered", "message": "Here"}
    row = {"tracking_number": "05212345678901", "slug": "dpd", "tag": "Delivered"}
    other.write_text(json.dumps([row | {"checkpoints": [scan]}]))
    await typed.told("import", str(other), "--from", "aftership")
    ((word, reason),) = verdicts(Path(f"{other}.verdicts.csv")).values()
    assert (word, "told by karrio already" in reason) == ("exists", True)
    assert await every_row(app_pool, account) == before


async def test_killed_in_the_middle_it_goes_on_and_what_lacks_its_past_gets_it(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    rows = [
        {
            "object": "Tracker",
            "tracking_code": f"1Z999AA1{n:010d}",
            "carrier": "UPS",
            "status": "delivered",
            "tracking_details": [
                {"status": "delivered", "datetime": "2026-01-14T18:31:00Z", "message": "Done"}
            ],
        }
        for n in range(2 * imports.CHUNK)
    ]
    file = tmp_path / "easypost.ndjson"
    file.write_text("\n".join(map(json.dumps, rows)))
    words = ("import", str(file), "--from", "easypost", "--set", "to_country_code=US")
    killed = await typed.process(
        *words, MILEPOST_FAILPOINT=f"many.after_commit:{imports.CHUNK // MOST // 2}"
    )
    assert killed.returncode == -signal.SIGKILL
    summary = await typed.told(*words)
    assert (summary["exists"], summary["registered"]) == (imports.CHUNK, imports.CHUNK)
    kept = await parcels(app_pool, account)
    found = {(one["status"], one["events"], one["asleep"], one["told"]) for one in kept.values()}
    assert (len(kept), found) == (len(rows), {("DELIVERED", 2, True, 0)})


async def test_notify_tells_of_the_past(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    file = export(tmp_path, "easypost.json")
    await typed.told("import", file, "--from", "easypost", "--notify")
    kept = await parcels(app_pool, account)
    assert {n: (one["status"], one["events"], one["told"]) for n, one in kept.items()} == {
        "1Z999AA10123456784": ("DELIVERED", 5, 5),
        "00340434161094000035": ("RETURNED_TO_SENDER", 2, 2),
    }


@pytest.mark.parametrize(
    ("name", "tool", "expected"),
    [
        (
            "17track.json",
            "17track",
            {
                "RR000000005NL": ("postnl", "DELAYED", "2 events"),
                "LP00000000000001": (
                    "17track-190135",
                    "ANNOUNCED",
                    "carrier 190135 is none of ours",
                ),
            },
        ),
        (
            "17track.csv",
            "17track",
            {
                "RR000000014NL": ("postnl", "DELIVERED", "1 event; ended"),
                "XX000000001": ("139express", "ANNOUNCED", "carrier 139Express is none of ours"),
            },
        ),
        (
            "karrio.csv",
            "karrio",
            {
                "05212345678918": ("dpd", "DELIVERED", "1 event; ended"),
                "05212345678925": ("dpd", "SHIPMENT_ON_ROUTE", "1 event"),
            },
        ),
        (
            "easypost.csv",
            "easypost",
            {"1Z999AA10123456785": ("ups", "DELAYED", "1 event")},
        ),
    ],
)
async def test_every_tool_and_form(
    typed: Terminal,
    tmp_path: Path,
    account: int,
    app_pool: Pool,
    name: str,
    tool: str,
    expected: dict[str, tuple[str, str, str]],
) -> None:
    file = export(tmp_path, name)
    await typed.told("import", file, "--from", tool)
    told = verdicts(Path(f"{file}.verdicts.csv"))
    kept = await parcels(app_pool, account)
    for number, (carrier, status, reason) in expected.items():
        assert (kept[number]["carrier_code"], kept[number]["status"]) == (carrier, status)
        assert told[number][0] == "registered"
        assert told[number][1].startswith(reason)
    assert kept.keys() == expected.keys()
