"""``milepost recognise``, and commands that register without a carrier code."""

from pathlib import Path

import pytest
from tests.cli.test_import import HEADER, verdicts
from tests.cli.typed import Terminal, terminal

from milepost.cli import imports, parcels, recognising
from milepost.db.pool import Pool, tenant
from milepost.errors import ConfigurationError

UPS = "1Z5R89390357567127"


@pytest.fixture
def typed(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    return terminal(monkeypatch, dsn, tmp_path, [imports, parcels, recognising])


async def test_a_number_is_told_with_its_candidates(typed: Terminal, account: int) -> None:
    told = await typed.told("recognise", "05162815323093", "--to", "nl", "--from", "DE")
    assert told["best"] is None
    assert told["candidates"][0]["carrier_code"] == "dpd"
    same = await typed.told("recognise", "05162815323093", "--to", "NL", "--account", str(account))
    assert same["candidates"][0]["carrier_code"] == "dpd"
    shown = await typed.result("recognise", "05162815323093", "--to", "NL")
    assert "gls_nl" in shown.stdout
    assert "a registration must name the carrier" in shown.stdout
    nobody = await typed.result("recognise", "hello")
    assert nobody.stdout.startswith("No carrier is known")
    with pytest.raises(ConfigurationError, match="no country"):
        await typed.result("recognise", UPS, "--to", "Spain")


async def test_a_parcel_is_registered_by_its_number_alone(typed: Terminal, account: int) -> None:
    shown = await typed.result("register", UPS)
    assert "Recognised as UPS, 99% sure" in shown.stdout
    assert f"Registered {UPS} at ups" in shown.stdout
    with pytest.raises(ConfigurationError, match=r"it may be dpd \d+%"):
        await typed.result("register", "05162815323093")


async def test_rows_of_a_file_need_no_carrier(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    rest = "2026-01-05T09:00:00Z,{source},5611EM,NL,8011PK,NL"
    rows = [
        f"{UPS},,{rest.format(source=1)}",
        f"05162815323093,,{rest.format(source=2)}",
        f"05162815323093,gls_nl,{rest.format(source=3)}",
    ]
    file = tmp_path / "parcels.csv"
    file.write_text("\n".join([HEADER, *rows, ""]))
    await typed.told("import", str(file), code=imports.EXIT_REFUSED)
    told = sorted(verdicts(file), key=lambda cells: int(cells[0]))
    assert [cells[2] for cells in told] == ["registered", "refused", "registered"]
    assert told[1][3].startswith("carrier_code: Field required: no carrier is at least 90% likely")
    async with tenant(app_pool, account) as conn:
        kept = await conn.fetch("SELECT carrier_code, request FROM parcel ORDER BY parcel_id")
    assert [row["carrier_code"] for row in kept] == ["ups", "gls_nl"]
    properties = kept[0]["request"]["ship_with"]["properties"]
    assert properties["shipping_option_code"] == "ups:registered"
