"""``milepost feed``: a carrier's file, told to the parcels it is about, with a verdict a row."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from milepost.cli.administer import AccountOption, AsJson, print_facts, print_json
from milepost.cli.import_progress import progress
from milepost.cli.imports import EXIT_REFUSED, opened
from milepost.cli.parcels import open_desk
from milepost.errors import ConfigurationError, FileUnreadable
from milepost.intake.csv_rows import Counted
from milepost.intake.files import Fed, Feeder, read_file
from milepost.intake.patience import PATIENCE_SECONDS
from milepost.intake.told_rows import CODE, Sender
from milepost.intake.verdicts import VerdictFile
from milepost.settings import load


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("feed")(feed)


def feed(
    file: Annotated[str, typer.Argument(help="A file of IFTSTA or CSV, or - for standard input.")],
    carrier: Annotated[str, typer.Option(help="Code of the carrier whose file it is.")],
    account: AccountOption = "",
    verdicts: Annotated[
        Path | None, typer.Option(help="Where verdicts go; FILE.verdicts.csv when left out.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of a CSV file; found out when left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Tell parcels what a carrier's file says; started again, it goes on where it was stopped.

    Exit code 3: it was read, and some of it was refused, or the file is cut off.
    """
    if verdicts is None and file == "-":
        raise ConfigurationError("standard input needs --verdicts FILE for the verdicts")
    code = carrier.strip().lower()
    if not CODE.fullmatch(code):
        raise ConfigurationError(f"{carrier[:80]!r} is no carrier code")
    path = verdicts or Path(f"{file}.verdicts.csv")
    started = time.monotonic()
    with _opened(file) as source:
        fed = asyncio.run(_feed(source, account, code, path, encoding))
    summary = {
        "rows": fed.rows,
        "told": fed.told,
        "refused": fed.refused,
        "done_before": fed.done_before,
        "parcels": fed.parcels,
        "new_events": fed.new_events,
        "ended": fed.ended,
        "seconds": round(time.monotonic() - started, 1),
        "verdicts": str(path),
    }
    if as_json:
        print_json(summary)
    else:
        print_facts(summary)
    if fed.refused:
        raise typer.Exit(EXIT_REFUSED)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        # It is gone back in: what it is, and whether it is whole, is found out first.
        with tempfile.TemporaryFile() as copy:
            most = load().max_feed_bytes
            while copy.tell() <= most and (block := sys.stdin.buffer.read(1024 * 1024)):
                copy.write(block)
            yield cast(BinaryIO, copy)
        return
    with opened(file) as source:
        if not source.seekable():
            raise ConfigurationError(f"{file} is no file; give it on standard input")
        yield source


async def _feed(source: BinaryIO, account: str, code: str, verdicts: Path, encoding: str) -> Fed:
    async with open_desk(account) as desk:
        sender = Sender.of(code, desk.core.catalogue)
        counted = Counted(source)
        most = desk.core.settings.max_feed_bytes
        try:
            reader = read_file(cast(BinaryIO, counted), sender, most_bytes=most, encoding=encoding)
            feeder = Feeder(desk.core.teller, desk.account_id, sender, PATIENCE_SECONDS)
            with VerdictFile(verdicts) as file, progress(source, counted, "feeding") as advance:
                return await feeder.feed(reader, file, advance)
        except FileUnreadable as error:
            raise ConfigurationError(f"nothing of it can be read: {error}") from error
        except OSError as error:
            raise ConfigurationError(f"{error.filename or verdicts}: {error.strerror}") from error
