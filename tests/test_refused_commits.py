"""A part of the suite with commits refused; ``make test-faults`` runs all of it that way."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from milepost.db import commit_faults

ROOT = Path(__file__).parents[1]
PART = ("parcels/test_register.py", "accounts/test_keys.py")
RATE = "0.1:11"


@pytest.mark.skipif(commit_faults.strike is not None, reason="the whole run is one of these")
def test_registering_reading_and_keys_bear_refused_commits() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--commit-faults", RATE]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *(f"tests/{name}" for name in PART)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    refused = re.search(r"(\d+) commits were refused in this process", done.stdout)
    assert refused is not None
    assert int(refused[1]) > 0
