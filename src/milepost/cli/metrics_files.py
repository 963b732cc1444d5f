"""The files child processes count into, and what adds them up.

A process counts into memory-mapped files named for its pid (``prometheus_client``'s multiprocess
mode). Those of dead processes are folded into one set, so that a counter never falls and the folder
does not grow with every restart; gauges of the dead are gone.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.mmap_dict import MmapedDict

PREFIX = "milepost-metrics-"
# The library types none of this.
Values: Any = MmapedDict
# No process has this pid.
FOLDED = "0"


@contextmanager
def metrics_folder() -> Iterator[Path]:
    """A folder for the children of this process, gone afterwards, as are those of dead parents."""
    base = Path(tempfile.gettempdir())
    for left in base.glob(f"{PREFIX}*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            # Somebody else's can't be removed, and is not ours to remove.
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def fold_the_dead(folder: Path) -> None:
    """Add the counts of processes that are gone to the folded files, and remove theirs."""
    for path in sorted(folder.glob("*.db")):
        kind, _, pid = path.stem.rpartition("_")
        if pid == FOLDED or psutil.pid_exists(int(pid)):
            continue
        if not kind.startswith("gauge"):
            _add(path, folder / f"{kind}_{FOLDED}.db")
        with suppress(FileNotFoundError):
            path.unlink()


def _add(source: Path, target: Path) -> None:
    sums = Values(str(target))
    try:
        for key, value, _, _ in Values.read_all_values_from_file(str(source)):
            known, _ = sums.read_value(key)
            sums.write_value(key, known + value, 0.0)
    finally:
        sums.close()
