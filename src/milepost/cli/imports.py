"""``milepost import``: parcels from a file of ours or of another tool, with a verdict a row."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from milepost import failpoints
from milepost.api.unnamed_carriers import Named
from milepost.cli.administer import AccountOption, AsJson, print_facts, print_json
from milepost.cli.import_columns import read_fixed
from milepost.cli.import_progress import Advance, progress
from milepost.cli.import_sheets import Source, begins_with, open_sheet
from milepost.cli.import_storing import Asked, Registering, Rehearsing, Storing
from milepost.cli.move_in import Export, read_carriers, tool_named
from milepost.cli.parcels import Desk, open_desk
from milepost.cli.processes import collecting_rarely
from milepost.errors import ConfigurationError
from milepost.intake.csv_rows import Counted, text_of
from milepost.intake.patience import patiently
from milepost.intake.verdicts import Verdict, VerdictFile

CHUNK = 500
"""Rows of one statement."""
BREATH = 25
"""After so many rows what comes from the database gets its turn."""
EXIT_REFUSED = 3
"""Every row was read, and some were refused."""
_REHEARSED = "dry run"
"""Keeps the verdicts of a dry run apart: nothing goes on from them."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed."""

    file: str
    account: str
    verdicts: Path
    fixed: dict[str, str]
    encoding: str
    other_columns: bool
    tool: str
    carriers: dict[str, str]
    dry_run: bool
    notify: bool


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_parcels)


def import_parcels(
    file: Annotated[str, typer.Argument(help="A file, or - for standard input.")],
    account: AccountOption = "",
    tool: Annotated[
        str,
        typer.Option(
            "--from",
            help="The tool the file was exported from: aftership, easypost, 17track or karrio "
            "(CSV or JSON). Left out: a CSV file in our own columns.",
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write verdicts, and nothing to the database.")
    ] = False,
    notify: Annotated[
        bool, typer.Option("--notify", help="With --from: tell everybody of the past as well.")
    ] = False,
    carriers: Annotated[
        list[str] | None,
        typer.Option("--carrier", help="With --from: THEIRS=OURS, a carrier's code; repeatable."),
    ] = None,
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
    """Register the parcels of a file; started again, it goes on where it was stopped.

    Exit code 3: all rows were read, some of them were refused.
    """
    if verdicts is None and file == "-":
        raise ConfigurationError("standard input needs --verdicts FILE for the verdicts")
    if not tool and (notify or carriers):
        raise ConfigurationError("--notify and --carrier go with --from")
    path = verdicts or Path(f"{file}.{'dry-run' if dry_run else 'verdicts'}.csv")
    wish = Wish(
        file=file,
        account=account,
        verdicts=path,
        fixed=read_fixed(fixed or []),
        encoding=encoding,
        other_columns=other_columns,
        tool=tool_named(tool).code if tool else "",
        carriers=read_carriers(carriers or []),
        dry_run=dry_run,
        notify=notify,
    )
    started = time.monotonic()
    with opened(file) as source:
        counted, beside = asyncio.run(_import(source, wish))
    summary = {
        "rows": counted.total(),
        "registered": counted["registered"],
        "exists": counted["exists"],
        "refused": counted["refused"],
        "done_before": counted["before"],
        **beside,
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
def opened(file: str) -> Iterator[BinaryIO]:
    """A file, or standard input for ``-``. ConfigurationError where it can't be read."""
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115 closed below
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror}") from error
    with source:
        yield source


async def _import(source: BinaryIO, wish: Wish) -> tuple[Counter[str], dict[str, object]]:
    counted_bytes = Counted(source)
    async with open_desk(wish.account) as desk:
        rows, storing = _source(counted_bytes, desk, wish), _storing(desk, wish)
        try:
            with (
                VerdictFile(wish.verdicts) as file,
                progress(source, counted_bytes) as advance,
                collecting_rarely(),
            ):
                counted = await _work(rows, storing, file, advance, afresh=wish.dry_run)
        except OSError as error:
            message = f"{error.filename or wish.verdicts}: {error.strerror}"
            raise ConfigurationError(message) from error
    beside = rows.tally.facts() if isinstance(rows, Export) else {}
    return counted, ({"dry_run": True} if wish.dry_run else {}) | beside


def _source(file: Counted, desk: Desk, wish: Wish) -> Source:
    async def naming(given: Any) -> Named:
        return await patiently(lambda: desk.naming(given))

    text = text_of(file, wish.encoding)
    common = [_REHEARSED] if wish.dry_run else []
    if wish.tool:
        export = Export(tool_named(wish.tool), desk, naming, wish.fixed, wish.carriers)
        export.open(text, common)
        return export
    if begins_with(text) in ("[", "{"):
        raise ConfigurationError("the file is JSON; --from says which tool it was exported from")
    others = wish.other_columns
    return open_sheet(text, desk.account_id, wish.fixed, naming, others=others, common=common)


def _storing(desk: Desk, wish: Wish) -> Storing:
    if wish.dry_run:
        return Rehearsing(desk, wish.tool)
    return Registering(desk, wish.tool, quiet=not wish.notify)


async def _work(
    source: Source, storing: Storing, file: VerdictFile, advance: Advance, *, afresh: bool
) -> Counter[str]:
    """Chunk by chunk: while one is stored the next is read and drafted."""
    counted: Counter[str] = Counter()
    under_way: asyncio.Task[list[Verdict]] | None = None
    try:
        async for asked in _chunks(source, file, counted, afresh=afresh):
            drafts = await storing.prepare(asked)
            if under_way is not None:
                _settle(file, counted, await under_way)
            under_way = asyncio.create_task(storing.store(asked, drafts))
            advance(counted.total())
        if under_way is not None:
            _settle(file, counted, await under_way)
    finally:
        if under_way is not None:
            under_way.cancel()
    advance(counted.total())
    return counted


def _settle(file: VerdictFile, counted: Counter[str], verdicts: Sequence[Verdict]) -> None:
    failpoints.reach("import.before_verdicts")
    for verdict in verdicts:
        counted[verdict.word] += 1
        file.write(verdict)
    file.flush()


async def _chunks(
    source: Source, file: VerdictFile, counted: Counter[str], *, afresh: bool
) -> AsyncIterator[list[Asked]]:
    """Rows to register; what can be said about the others is said at once."""
    asked: list[Asked] = []
    for place, row in enumerate(source.rows, start=1):
        if place % BREATH == 0:
            await asyncio.sleep(0)
        fingerprint = source.fingerprint(row)
        word = None if afresh else file.earlier.word(row.line, fingerprint)
        if word is not None:
            counted["before"] += 1
            file.write(Verdict(row.line, source.number(row), word, "", fingerprint))
            continue
        read = await source.read(row)
        if isinstance(read, str):
            counted["refused"] += 1
            file.write(Verdict(row.line, source.number(row), "refused", read, fingerprint))
            continue
        asked.append(Asked(row.line, fingerprint, read))
        if len(asked) == CHUNK:
            yield asked
            asked = []
    if asked:
        yield asked
