"""``milepost import``: parcels from a CSV file, with a verdict for every row."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar

import typer

from milepost import failpoints
from milepost.api.unnamed_carriers import Named
from milepost.cli.administer import AccountOption, AsJson, print_facts, print_json
from milepost.cli.import_columns import Column, read_fixed, read_header, read_row
from milepost.cli.import_progress import Advance, progress
from milepost.cli.parcels import Desk, open_desk
from milepost.errors import ConfigurationError, MilepostError
from milepost.intake.csv_rows import Counted, Row, rows_of, separator_in, text_of, told_separator, undecoded
from milepost.intake.patience import patiently
from milepost.intake.verdicts import Fingerprints, Verdict, VerdictFile
from milepost.parcels.draft import Drafted
from milepost.tracking.parcel import Registration

T = TypeVar("T")

CHUNK = 500
"""Rows of one statement."""
BREATH = 25
"""After so many rows what comes from the database gets its turn."""
EXIT_REFUSED = 3
"""Every row was read, and some were refused."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A row that is to be registered."""

    line: int
    row: int
    registration: Registration


@dataclass(frozen=True, slots=True)
class Sheet:
    """An open file: its columns, and its rows after the first line."""

    columns: Sequence[Column | None]
    fixed: dict[str, str]
    fingerprints: Fingerprints
    rows: Iterator[Row]

    def number(self, row: Row) -> str:
        """The tracking number of a row as it stands there, if it has one."""
        pairs = zip(self.columns, row.cells, strict=False)
        found = (cell for column, cell in pairs if column and column.name == "tracking_number")
        return next(found, "")[:255].encode("utf-8", "replace").decode()


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_parcels)


def import_parcels(
    file: Annotated[str, typer.Argument(help="A CSV file, or - for standard input.")],
    account: AccountOption = "",
    verdicts: Annotated[
        Path | None, typer.Option(help="Where verdicts go; FILE.verdicts.csv when left out.")
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--set", help="COLUMN=VALUE for rows that have no such value; repeatable."),
    ] = None,
    other_columns: Annotated[
        bool, typer.Option("--other-columns", help="Leave out columns that are not ours.")
    ] = False,
    encoding: Annotated[str, typer.Option(help="Of a file without a byte order mark.")] = "utf-8",
    as_json: AsJson = False,
) -> None:
    """Register the parcels of a CSV file; started again, it goes on where it was stopped.

    Exit code 3: all rows were read, some of them were refused.
    """
    if verdicts is None and file == "-":
        raise ConfigurationError("standard input needs --verdicts FILE for the verdicts")
    path = verdicts or Path(f"{file}.verdicts.csv")
    given = read_fixed(fixed or [])
    started = time.monotonic()
    with _opened(file) as source:
        counted = asyncio.run(
            _import(source, account, path, given, encoding, other_columns=other_columns)
        )
    summary = {
        "rows": counted.total(),
        "registered": counted["registered"],
        "exists": counted["exists"],
        "refused": counted["refused"],
        "done_before": counted["before"],
        "seconds": round(time.monotonic() - started, 1),
        "verdicts": str(path),
    }
    if as_json:
        print_json(summary)
    else:
        print_facts(summary)
    if counted["refused"]:
        raise typer.Exit(EXIT_REFUSED)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115 closed below
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror}") from error
    with source:
        yield source


async def _import(
    source: BinaryIO,
    account: str,
    verdicts: Path,
    fixed: dict[str, str],
    encoding: str,
    *,
    other_columns: bool,
) -> Counter[str]:
    counted_bytes = Counted(source)
    async with open_desk(account) as desk:
        sheet = _sheet(counted_bytes, encoding, desk.account_id, fixed, others=other_columns)
        try:
            with VerdictFile(verdicts) as file, progress(source, counted_bytes) as advance:
                return await _work(desk, sheet, file, advance)
        except OSError as error:
            raise ConfigurationError(f"{error.filename or verdicts}: {error.strerror}") from error


def _sheet(
    file: Counted, encoding: str, account_id: int, fixed: dict[str, str], *, others: bool
) -> Sheet:
    text = text_of(file, encoding)
    try:
        header = text.readline(64 * 1024)
    except UnicodeError as error:
        raise ConfigurationError(f"the first line is not {text.encoding}") from error
    if undecoded(header):
        raise ConfigurationError(f"the first line is not {text.encoding}; see --encoding")
    named, told = told_separator(header)
    separator = told or separator_in(header)
    rows = rows_of(text, separator, "" if named else header)
    first = next(rows, Row(1, problem="the file is empty"))
    if first.problem:
        raise ConfigurationError(f"the first line: {first.problem}")
    columns = read_header(first.cells, others=others)
    common = [f"{name}={value}" for name, value in fixed.items()]
    return Sheet(columns, fixed, Fingerprints(account_id, first.cells, common), rows)


async def _work(desk: Desk, sheet: Sheet, file: VerdictFile, advance: Advance) -> Counter[str]:
    """Chunk by chunk: while one is stored the next is read and drafted."""
    counted: Counter[str] = Counter()
    storing: asyncio.Task[list[Verdict]] | None = None
    try:
        async for asked in _chunks(desk, sheet, file, counted):
            drafts = await _drafted(desk, asked)
            if storing is not None:
                _settle(file, counted, await storing)
            storing = asyncio.create_task(_stored(desk, asked, drafts))
            advance(counted.total())
        if storing is not None:
            _settle(file, counted, await storing)
    finally:
        if storing is not None:
            storing.cancel()
    advance(counted.total())
    return counted


def _settle(file: VerdictFile, counted: Counter[str], verdicts: Sequence[Verdict]) -> None:
    failpoints.reach("import.before_verdicts")
    for verdict in verdicts:
        counted[verdict.word] += 1
        file.write(verdict)
    file.flush()


async def _chunks(
    desk: Desk, sheet: Sheet, file: VerdictFile, counted: Counter[str]
) -> AsyncIterator[list[Asked]]:
    """Rows to register; what can be said about the others is said at once."""

    async def naming(given: Any) -> Named:
        return await patiently(lambda: desk.naming(given))

    asked: list[Asked] = []
    for place, row in enumerate(sheet.rows, start=1):
        if place % BREATH == 0:
            await asyncio.sleep(0)
        fingerprint = sheet.fingerprints.of(row.cells)
        word = file.earlier.word(row.line, fingerprint)
        if word is not None:
            counted["before"] += 1
            file.write(Verdict(row.line, sheet.number(row), word, "", fingerprint))
            continue
        read = row.problem or await read_row(sheet.columns, row.cells, sheet.fixed, naming)
        if isinstance(read, str):
            counted["refused"] += 1
            file.write(Verdict(row.line, sheet.number(row), "refused", read, fingerprint))
            continue
        asked.append(Asked(row.line, fingerprint, read))
        if len(asked) == CHUNK:
            yield asked
            asked = []
    if asked:
        yield asked


async def _drafted(desk: Desk, asked: Sequence[Asked]) -> list[Drafted]:
    """The rows as they will be stored."""
    registrar = desk.core.registrar

    async def work() -> list[Drafted]:
        readies = [await registrar.prepare(desk.account_id, one.registration) for one in asked]
        return registrar.draft(desk.account_id, readies)

    return await patiently(work)


async def _stored(desk: Desk, asked: Sequence[Asked], drafts: Sequence[Drafted]) -> list[Verdict]:
    """Register them all and say what became of each.

    After a failure in the middle some may be there already: those are then told as existing.
    """
    registrar = desk.core.registrar
    answers = await patiently(lambda: registrar.store_drafts(desk.account_id, drafts))
    return [_verdict(one, answer) for one, answer in zip(asked, answers, strict=True)]


def _verdict(asked: Asked, answer: object) -> Verdict:
    number = asked.registration.tracking_number
    match answer:
        case MilepostError(http_status=409):
            return Verdict(asked.line, number, "exists", str(answer), asked.row)
        case MilepostError():
            return Verdict(asked.line, number, "refused", str(answer), asked.row)
        case _:
            return Verdict(asked.line, number, "registered", "", asked.row)
