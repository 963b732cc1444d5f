"""``milepost import``: every row a verdict, nothing twice, whatever happens in the middle."""

import csv
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli.typed import Terminal, terminal

from milepost.cli import imports
from milepost.db.pool import Pool, tenant
from milepost.errors import ConfigurationError, DatabaseUnavailable
from milepost.parcels import register
from milepost.parcels.register import Registrar

HEADER = (
    "tracking_number,carrier_code,announced_at,source_id,from_postal_code,from_country_code,"
    "to_postal_code,to_country_code"
)


@pytest.fixture
def typed(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    return terminal(monkeypatch, dsn, tmp_path, [imports])


def row(number: str, **more: str) -> str:
    cells = {"number": number, "carrier": "slowpost", "at": "2026-01-05T09:00:00Z"}
    cells |= {"source": f"order-{number}", "from": "5611EM", "of": "NL", "to": "8011PK", "in": "NL"}
    return ",".join((cells | more).values())


def sheet(folder: Path, *rows: str) -> Path:
    path = folder / "parcels.csv"
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


def verdicts(path: Path) -> list[list[str]]:
    with Path(f"{path}.verdicts.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["line", "number", "verdict", "reason", "row"]
    return [cells[:4] for cells in rows]


async def stored(pool: Pool, account_id: int) -> list[str]:
    async with tenant(pool, account_id) as conn:
        rows = await conn.fetch("SELECT tracking_number FROM parcel ORDER BY parcel_id")
    return [row["tracking_number"] for row in rows]


async def test_good_rows_are_kept_and_each_row_has_its_verdict(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    file = sheet(
        tmp_path,
        row("A1"),
        row("=B2", to=""),
        row("A1", source="other"),
        '"C3"x,',
        row("D\x004"),
        row("E5"),
        row("F6", source="order-E5"),
    )
    summary = await typed.told("import", str(file), code=imports.EXIT_REFUSED)
    counts = {"rows": 7, "registered": 2, "exists": 2, "refused": 3, "done_before": 0}
    assert counts.items() <= summary.items()
    told = sorted(verdicts(file), key=lambda cells: int(cells[0]))
    assert [cells[:3] for cells in told] == [
        ["2", "A1", "registered"],
        ["3", "'=B2", "refused"],
        ["4", "A1", "exists"],
        ["5", "", "refused"],
        ["6", "D\ufffd4", "refused"],
        ["7", "E5", "registered"],
        ["8", "F6", "exists"],
    ]
    reasons = [cells[3] for cells in told]
    assert reasons[1] == "to_postal_code: Field required"
    assert reasons[3].startswith("not CSV: ',' expected")
    assert reasons[4].startswith("tracking_number: Text has a NUL")
    assert await stored(app_pool, account) == ["A1", "E5"]


async def test_a_second_run_asks_for_what_was_refused_and_what_is_new(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    file = sheet(tmp_path, row("A1"), row("B2", to=""))
    await typed.told("import", str(file), code=imports.EXIT_REFUSED)
    sheet(tmp_path, row("A1"), row("B2"), row("C3"))
    summary = await typed.told("import", str(file))
    counts = {"rows": 3, "registered": 2, "exists": 0, "refused": 0, "done_before": 1}
    assert counts.items() <= summary.items()
    assert [cells[2] for cells in verdicts(file)] == ["registered"] * 3
    Path(f"{file}.verdicts.csv").unlink()
    assert (await typed.told("import", str(file)))["exists"] == 3, "the database knows as well"
    assert await stored(app_pool, account) == ["A1", "B2", "C3"]


async def test_a_row_that_was_changed_is_another_row(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    file = sheet(tmp_path, row("A1"))
    await typed.told("import", str(file))
    sheet(tmp_path, row("A2"))
    assert (await typed.told("import", str(file)))["registered"] == 1
    assert await stored(app_pool, account) == ["A1", "A2"]


async def test_killed_in_the_middle_it_goes_on_from_there(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    chunks = 4
    numbers = [f"N{n}" for n in range(chunks * imports.CHUNK)]
    file = sheet(tmp_path, *(row(number) for number in numbers))
    killed = await typed.process("import", str(file), MILEPOST_FAILPOINT="import.before_verdicts:3")
    assert killed.returncode == -signal.SIGKILL
    assert not Path(f"{file}.verdicts.csv").exists()
    summary = await typed.told("import", str(file))
    # The third chunk was stored, and nobody had said so yet; a fourth may have been on its way.
    assert summary["done_before"] == 2 * imports.CHUNK
    assert summary["exists"] in (imports.CHUNK, 2 * imports.CHUNK)
    assert summary["refused"] == 0
    assert await stored(app_pool, account) == numbers
    words = Counter(cells[2] for cells in verdicts(file))
    assert words == {
        "registered": summary["registered"] + 2 * imports.CHUNK,
        "exists": summary["exists"],
    }


@pytest.mark.parametrize("fresh_seconds", [0, 60])
async def test_a_row_that_was_stored_without_an_answer_is_told_as_registered(
    typed: Terminal,
    tmp_path: Path,
    account: int,
    app_pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
    fresh_seconds: int,
) -> None:
    """Under load the time limit strikes after the commit was sent: the repeat finds our rows."""
    await typed.told("import", str(sheet(tmp_path, row("Z9"))))
    Path(f"{tmp_path / 'parcels.csv'}.verdicts.csv").unlink()
    store = Registrar.store_drafts
    lost: list[Any] = []

    async def stored_and_silent(*given: Any, **more: Any) -> Any:
        answers = await store(*given, **more)
        if not lost:
            lost.append(answers)
            raise DatabaseUnavailable("the answer is lost")
        return answers

    monkeypatch.setattr(Registrar, "store_drafts", stored_and_silent)
    # Whether the repeat takes the very drafts or new ones.
    monkeypatch.setattr(register, "FRESH", timedelta(seconds=fresh_seconds))
    rows = (
        row("Z9"),
        row("A1"),
        row("A1", source="other"),
        row("B2"),
        row("C3", source="order-B2"),
    )
    file = sheet(tmp_path, *rows)
    summary = await typed.told("import", str(file))
    assert len(lost) == 1
    assert [cells[1:3] for cells in verdicts(file)] == [
        ["Z9", "exists"],
        ["A1", "registered"],
        ["A1", "exists"],
        ["B2", "registered"],
        ["C3", "exists"],
    ]
    assert (summary["registered"], summary["exists"]) == (2, 3)
    assert await stored(app_pool, account) == ["Z9", "A1", "B2"]


async def test_standard_input_with_another_encoding(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    lines = [HEADER.replace(",", ";") + ";to_city", row("A1").replace(",", ";") + ";Köln"]
    told = tmp_path / "told.csv"
    words = ("import", "-", "--verdicts", str(told))
    latin = "\n".join(lines).encode("latin-1")
    summary = await typed.told(*words, typed=latin, code=imports.EXIT_REFUSED)
    assert summary["refused"] == 1
    assert "to_city: bytes that are not of the file's encoding" in told.read_text()
    summary = await typed.told(*words, "--encoding", "latin-1", typed=latin)
    assert summary["registered"] == 1
    async with tenant(app_pool, account) as conn:
        assert (
            await conn.fetchval("SELECT request -> 'to_address' ->> 'city' FROM parcel") == "Köln"
        )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("import", "/nowhere.csv"), "can't be read: No such file"),
        (("import", "-"), "needs --verdicts"),
        (("import", "-", "--verdicts", "/nowhere/v.csv"), "/nowhere/v.csv"),
        (("import", "-", "--verdicts", "v.csv", "--set", "colour=red"), "--set takes COLUMN=VALUE"),
        (("import", "-", "--verdicts", "v.csv", "--encoding", "klingon"), "no encoding klingon"),
    ],
)
@pytest.mark.usefixtures("account")
async def test_what_the_operator_got_wrong_is_one_line(
    typed: Terminal, words: tuple[str, ...], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        await typed.result(*words, typed=HEADER.encode())


@pytest.mark.usefixtures("account")
async def test_an_empty_file_says_so(typed: Terminal, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the file is empty"):
        await typed.result("import", "-", "--verdicts", str(tmp_path / "v"))
