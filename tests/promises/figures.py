"""What a run measured, in one JSON file: promises are judged by numbers that can be read later."""

import fcntl
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def figures_path() -> Path:
    """Named by ``PROMISES_JSON``; else one file per test run in the temporary folder."""
    named = os.environ.get("PROMISES_JSON")
    if named:
        return Path(named)
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    return Path(tempfile.gettempdir()) / f"milepost-promises-{run}.json"


def keep(check: str, **figures: Any) -> None:
    """Add the figures of one check to the run's file; several test processes may do so."""
    path = figures_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        told = file.read()
        known = json.loads(told) if told else {}
        known[check] = figures
        file.seek(0)
        file.truncate()
        json.dump(known, file, indent=2, sort_keys=True)
