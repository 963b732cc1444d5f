"""How far an import has come, for whoever watches it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from milepost.intake.csv_rows import Counted


@contextmanager
def progress(source: BinaryIO, counted: Counted, doing: str = "importing") -> "Iterator[Advance]":
    """A bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Advance(None, counted)
        return
    try:
        total = Path(f"/dev/fd/{source.fileno()}").stat().st_size or None
    except OSError:
        total = None
    columns = (
        TextColumn(doing),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        bar.add_task(doing, total=total, rows=0)
        yield Advance(bar, counted)


class Advance:
    """Moves the bar, if there is one."""

    def __init__(self, bar: Progress | None, counted: Counted) -> None:
        self._bar = bar
        self._counted = counted

    def __call__(self, rows: int) -> None:
        """``rows`` are done."""
        if self._bar is not None:
            (task,) = self._bar.task_ids
            self._bar.update(task, completed=self._counted.bytes_read, rows=rows)
