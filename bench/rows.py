"""Rows of the table: what was measured, beside which limit, and whether that is enough."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import orjson
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One line. ``value`` must be ``limit`` at least, or, where ``at_most``, at most.

    Without a limit a row informs. A value that is no number was not measured and is never enough.
    """

    what: str
    value: float
    limit: float | None
    unit: str = ""
    at_most: bool = False
    told: str = ""

    @property
    def enough(self) -> bool:
        """Whether the limit is met."""
        if math.isnan(self.value):
            return False
        if self.limit is None:
            return True
        return self.value <= self.limit if self.at_most else self.value >= self.limit


def failed(what: str, error: BaseException) -> Row:
    """A row whose part is missing or broken: told, and never enough."""
    said = f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
    return Row(what, math.nan, 0.0, told=said)


def paired(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median of the ratios of neighbours: what disturbs both sides of a pair falls out."""
    pairs = zip(numerators, denominators, strict=True)
    return median(one / other for one, other in pairs)


def print_table(rows: Sequence[Row], console: Console) -> None:
    """The table, as wide as the terminal."""
    table = Table("what", "measured", "limit", "", "how", title="Speed, beside limits of this run")
    for row in rows:
        sign = "" if row.limit is None else ("<= " if row.at_most else ">= ") + _number(row.limit)
        verdict = ("info" if row.limit is None else "ok") if row.enough else "NOT MET"
        table.add_row(row.what, f"{_number(row.value)} {row.unit}".strip(), sign, verdict, row.told)
    console.print(table)


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Every row with its verdict; a value that was not measured is null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = [asdict(row) | {"enough": row.enough} for row in rows]
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
