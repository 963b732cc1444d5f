"""``milepost erase``: what is named is gone, receipts say so, and nothing goes by accident."""

from pathlib import Path

import pytest
from tests.cli.test_import import row, sheet, stored
from tests.cli.typed import Terminal, terminal

from milepost.cli import erasing, imports
from milepost.db.pool import Pool
from milepost.errors import ConfigurationError


@pytest.fixture
async def typed(
    dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, account: int
) -> Terminal:
    """Four parcels."""
    made = terminal(monkeypatch, dsn, tmp_path, [erasing, imports])
    file = sheet(tmp_path, *(row(number) for number in ("A1", "B2", "C3", "D4")))
    assert (await made.told("import", str(file)))["registered"] == 4
    assert account
    return made


async def test_named_parcels_go_and_others_stay(
    typed: Terminal, tmp_path: Path, app_pool: Pool, account: int
) -> None:
    listed = tmp_path / "list"
    listed.write_text("c 3\n\n")
    told = await typed.told("erase", "A1", "--from", str(listed), "--yes")
    assert [one["counts"]["parcels"] for one in told["erased"]] == [1, 1]
    assert {one["actor"] for one in told["erased"]} == {"cli"}
    assert await stored(app_pool, account) == ["B2", "D4"]
    again = await typed.told("erase", "--parcel", str(told["erased"][0]["parcel_id"]), "--yes")
    assert again["erased"] == told["erased"][:1], "a receipt is given again"


async def test_a_number_nobody_has_is_said(typed: Terminal, app_pool: Pool, account: int) -> None:
    told = await typed.told("erase", "B2", "X9", "--parcel", "999", "--yes", code=1)
    assert told["unknown"] == ["X9", "parcel 999"]
    assert await stored(app_pool, account) == ["A1", "C3", "D4"]


async def test_what_can_be_no_number_and_no_id_is_of_nobody(
    typed: Terminal, tmp_path: Path, app_pool: Pool, account: int
) -> None:
    listed = tmp_path / "list"
    listed.write_bytes(b"A\x001\nA1\n")
    told = await typed.told("erase", "B\udcff2", "--from", str(listed), "--yes", code=1)
    assert told["unknown"] == ["B?2", "A\ufffd1"]
    assert await stored(app_pool, account) == ["B2", "C3", "D4"]
    assert (await typed.result("erase", "--parcel", "9" * 30, "--yes")).exit_code == 2


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, 3), (b"n\n", 1, 4), (b"", 1, 4)])
async def test_it_asks_first(
    typed: Terminal, app_pool: Pool, account: int, answer: bytes, code: int, left: int
) -> None:
    result = await typed.result("erase", "A1", typed=answer)
    assert result.exit_code == code
    assert "Erase 1 parcel for good?" in result.output
    assert len(await stored(app_pool, account)) == left


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("erase",), "say what to erase"),
        (("erase", "--from", "/nowhere"), "/nowhere can't be read"),
        (("erase", "--from", "-"), "needs --yes"),
    ],
)
async def test_what_the_operator_got_wrong_is_one_line(
    typed: Terminal, words: tuple[str, ...], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        await typed.result(*words)
