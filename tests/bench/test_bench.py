"""The benchmark suite at toy size: it measures, and what is not enough is told by the exit code."""

import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from bench.rows import Row, failed, paired
from bench.run import Filled, Run, Scale
from tests.ready_cluster import make_state_dir

from bench import __main__ as bench
from bench import catalogue, checking

SMALL = {"parcels": 300, "records": 16, "pairs": 1, "seconds": 0.3, "clients": 4}


def run(tmp_path: Path, *parts: str) -> tuple[int, dict[str, dict[str, object]]]:
    report = tmp_path / "bench.json"
    sizes = [word for name, size in SMALL.items() for word in ("--scale", f"{name}={size}")]
    where = ["--state", str(make_state_dir()), "--json", str(report)]
    code = bench.main([*parts, *sizes, *where])
    return code, {row["what"]: row for row in json.loads(report.read_bytes())}


@pytest.mark.timeout(900)  # a cluster, its migrations and three servers, beside everything else
def test_rows_come_out(tmp_path: Path) -> None:
    _, rows = run(tmp_path, "reads", "writes", "records", "catalogue")
    assert len(rows) == 8
    for row in rows.values():
        assert isinstance(row["value"], float), row
        assert row["value"] > 0, row


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([Row("fast", 0.5, 0.5), Row("small", 6, 6, at_most=True), Row("told", 1, None)], 0),
        ([Row("fast", 0.5, 0.5), Row("slow", 0.49, 0.5)], 1),
        ([Row("large", 6.1, 6, at_most=True)], 1),
        ([failed("absent", RuntimeError("no such part"))], 1),
    ],
)
def test_what_is_not_enough_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[Row], code: int
) -> None:
    async def measured(run: Run, wanted: Sequence[str]) -> list[Row]:
        return rows

    monkeypatch.setattr(bench, "measure", measured)
    told, written = run(tmp_path)
    assert told == code
    assert [row["enough"] for row in written.values()] == [row.enough for row in rows]


async def test_a_part_that_fails_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(run: Run) -> list[Row]:
        raise RuntimeError("the carrier is missing")

    monkeypatch.setattr(checking, "rows", broken)
    (row,) = await bench.measure(Run(None, Scale()), ["checks"])  # type: ignore[arg-type]
    assert not row.enough
    assert math.isnan(row.value)
    assert "carrier is missing" in row.told


async def test_a_database_that_is_not_filled_costs_its_own_rows_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(run: Run, name: str, parcels: int) -> Filled:
        raise RuntimeError(f"no room for {name}")

    async def told(run: Run) -> list[Row]:
        return [Row("told", 1, None)]

    monkeypatch.setattr(Run, "_fill", broken)
    monkeypatch.setattr(catalogue, "rows", told)
    run = Run(SimpleNamespace(filling=nullcontext), Scale())  # type: ignore[arg-type]
    rows = await bench.measure(run, ["reads", "catalogue", "sizes"])
    assert [row.what for row in rows] == ["reads", "told", "sizes"]
    assert [row.enough for row in rows] == [False, True, False]
    assert "no room for main" in rows[0].told


def test_two_do_not_share_a_state(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with bench._alone(state), pytest.raises(SystemExit, match="2"):
        bench.main(["catalogue", "--state", str(state)])
    assert not list(tmp_path.iterdir())


def test_pairs_cancel_what_disturbs_both() -> None:
    assert paired([10, 100, 10], [20, 200, 20]) == 0.5
