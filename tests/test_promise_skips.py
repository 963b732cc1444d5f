"""A promise that is skipped in CI fails there, and nothing else does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = """
import pytest

@pytest.mark.promise
@pytest.mark.skipif(True, reason="no strace here")
def test_by_mark(): ...

@pytest.mark.promise
def test_by_call():
    pytest.skip("no strace here")

@pytest.mark.promise
def test_kept(): ...

@pytest.mark.skip(reason="no matter")
def test_no_promise(): ...
"""


@pytest.mark.parametrize(
    ("ci", "summary"),
    [("true", "1 failed, 1 passed, 1 skipped, 1 error"), ("", "1 passed, 3 skipped")],
)
def test_a_skipped_promise_fails_in_ci(tmp_path: Path, ci: str, summary: str) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = promise: as ours\n")
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.promise_skips", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"CI": ci, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert re.search(summary, done.stdout), done.stdout
    assert (done.returncode == 0) == (ci == "")
