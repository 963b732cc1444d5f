"""The tables of docs/moving-in.md: what becomes of each tool's statuses and carriers.

``python -m milepost.movein.table FILE`` writes them into it anew; a test holds it to that.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from milepost.movein.tools import CODES, NOTICE, Tool, tool
from milepost.tracking.vocabulary import ExceptionCode, Reading, StatusType, SubStatus

BEGIN = "<!-- tables: python -m milepost.movein.table -->"
END = "<!-- end of tables -->"


def with_tables(page: str) -> str:
    """The page with its tables as they are now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(line for code in CODES for line in _lines(tool(code)))
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _lines(given: Tool) -> Iterator[str]:
    yield from ("", f"### {given.name}", "", "| Status | Here |", "| --- | --- |")
    for status, reading in given.readings.items():
        yield f"| `{status}` | {_words(reading)} |"
    codes: dict[str, list[str]] = {}
    for theirs, ours in given.carriers.items():
        codes.setdefault(ours, []).append(f"`{theirs}`")
    yield from ("", "Carriers: ")
    yield "; ".join(f"{', '.join(theirs)} → {ours}" for ours, theirs in sorted(codes.items())) + "."


def _words(reading: Reading) -> str:
    if reading == NOTICE:
        return "nothing: it says where no parcel is"
    plain = (ExceptionCode.NONE, StatusType.SUCCESS, SubStatus.NONE)
    parts = (reading.exception, reading.status_type, reading.sub_status)
    told = [f"`{part}`" for part, nothing in zip(parts, plain, strict=True) if part != nothing]
    return ", ".join((f"`{reading.phase}`", *told))


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
