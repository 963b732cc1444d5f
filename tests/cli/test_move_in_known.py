"""What ``import --from`` leaves alone: known parcels, and rows nobody can store."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.cli.test_move_in import parcels, verdicts
from tests.cli.typed import KEY, Terminal, terminal
from tests.parcels.conftest import registration
from tests.tracking.order_free import poll, scan_at

from milepost.cli import imports
from milepost.db.pool import Pool, tenant
from milepost.parcels.apply import News
from milepost.settings import Settings
from milepost.wiring import core_parts

NUMBER = "05212345678901"
DELIVERED = {"checkpoint_time": "2026-02-04T14:15:00", "tag": "Delivered", "message": "Here"}


@pytest.fixture
def typed(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    return terminal(monkeypatch, dsn, tmp_path, [imports])


def tracking(number: str, **more: Any) -> dict[str, Any]:
    return {"tracking_number": number, "slug": "dpd", "tag": "InTransit", **more}


async def moved(
    typed: Terminal, folder: Path, row: dict[str, Any], *words: str
) -> dict[str, tuple[str, str]]:
    file = folder / f"{len(list(folder.iterdir()))}.json"
    file.write_text(json.dumps([row]))
    await typed.told("import", str(file), "--from", "aftership", *words)
    return verdicts(Path(f"{file}.verdicts.csv"))


async def test_a_row_with_what_no_database_holds_costs_itself_alone(
    typed: Terminal, tmp_path: Path, account: int
) -> None:
    file = tmp_path / "shipments.csv"
    at = "2026-02-05 12:01:00"
    file.write_bytes(
        "tracking_number,slug,destination_country,tag,signed_by,latest_event,last_checkpoint_time\n"
        f"3SABCD01,postnl,NLD,Delivered,A\x00B,ok,{at}\n"
        f"3SABCD02,postnl,NLD,Delivered,AB,o\x00k,{at}\n"
        f"3SABCD04,postnl,NLD,Delivered,AB,ok,{at}\n".encode()
    )
    await typed.told("import", str(file), "--from", "aftership", code=imports.EXIT_REFUSED)
    told = verdicts(Path(f"{file}.verdicts.csv"))
    assert [word for word, _ in told.values()] == ["refused", "refused", "registered"]
    assert told["3SABCD01"][1].startswith("signed_by")


async def test_the_past_of_one_number_is_no_other_numbers(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    """A source_id that is taken says nothing of whose past a row tells."""
    fixed = "--set", "source_id=x1"
    await moved(typed, tmp_path, tracking(NUMBER), *fixed)
    other = tracking("05212345678918", tag="Delivered", checkpoints=[DELIVERED])
    told = await moved(typed, tmp_path, other, *fixed)
    word, reason = told["05212345678918"]
    assert (word, "source_id" in reason) == ("exists", True)
    kept = await parcels(app_pool, account)
    assert {n: (one["status"], one["ended_at"]) for n, one in kept.items()} == {
        NUMBER: ("SHIPMENT_ON_ROUTE", None)
    }


async def test_what_the_carrier_said_stands(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool, dsn: str
) -> None:
    """Its word on who signed; and a scan it calls import is no other tool's history."""
    chosen = Settings(database_url=SecretStr(dsn), secret_key=SecretStr(KEY))
    async with core_parts(chosen, "milepost_worker") as core:
        await core.registrar.register(
            account, registration(carrier_code="dpd", tracking_number=NUMBER)
        )
        async with tenant(core.pool, account) as conn:
            made = int(await conn.fetchval("SELECT max(parcel_id) FROM parcel"))
        now = datetime.now(UTC)
        scan = scan_at(60, "IMPORT SCAN", "in_transit")
        seen = now - timedelta(hours=1)
        told = replace(poll(2, scan), carrier_code="dpd", observed_at=seen, source="poll")
        news = News(extra={"signed_by": "Jansen"})
        await core.recorder.record(account, made, told, now, lambda *_: None, news=news)
    for signed in ({}, {"signed_by": "Somebody"}):
        row = tracking(NUMBER, checkpoints=[DELIVERED], **signed)
        (verdict,) = (await moved(typed, tmp_path, row)).values()
        assert verdict == ("exists", "Parcel or tracking number already exists")
        kept = await parcels(app_pool, account)
        found = (kept[NUMBER]["extra"], kept[NUMBER]["status"])
        assert found == ({"signed_by": "Jansen"}, "DELIVERED")
