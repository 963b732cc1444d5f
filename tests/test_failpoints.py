import os
import signal
import subprocess
import sys

import pytest

from milepost import failpoints


def run(variable: str | None, code: str) -> int:
    environment = {name: value for name, value in os.environ.items() if "MILEPOST_" not in name}
    if variable is not None:
        environment["MILEPOST_FAILPOINT"] = variable
    code = f"from milepost.failpoints import reach\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=False, capture_output=True, text=True
    )
    assert done.stderr == (failpoints.died_at("a.b") if done.returncode else "")
    return done.returncode


@pytest.mark.parametrize(
    ("variable", "code", "dies"),
    [
        ("a.b:1", "reach('a.b')", True),
        ("a.b", "reach('a.b')", True),
        ("a.b:3", "reach('a.b'); reach('other'); reach('a.b')", False),
        ("a.b:3", "[reach('a.b') for _ in range(3)]", True),
        ("a.b:1", "reach('a')", False),
        (None, "[reach('a.b') for _ in range(3)]", False),
        ("", "reach('')", False),
    ],
)
def test_the_named_pass_is_the_last(variable: str | None, code: str, dies: bool) -> None:
    assert run(variable, code) == (-signal.SIGKILL if dies else 0)


def test_off_it_is_an_empty_function() -> None:
    assert failpoints.reach is failpoints._off
