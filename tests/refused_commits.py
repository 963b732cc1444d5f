"""A pytest plugin: ``--commit-faults 0.05`` refuses one of the product's commits in twenty.

In this process and in those the tests start; ``0.05:7`` repeats a sequence of dice. What a test
itself writes is spared: a test does not ask again.
"""

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from milepost.db import commit_faults, line, pool

PRODUCT = str(Path(pool.__file__).parents[1]) + os.sep
TESTS = str(Path(__file__).parent) + os.sep
# Whose code they run says nothing about who asked.
MESSENGERS = {pool.__file__, line.__file__, commit_faults.__file__}
refused = 0


def pytest_addoption(parser: pytest.Parser) -> None:
    """The switch; the environment's is the same one."""
    parser.addoption(
        "--commit-faults",
        default=os.environ.get(commit_faults.VARIABLE, ""),
        help="rate at which the product's commits fail with 40001, as RATE or RATE:SEED",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Plants the faults here, and in the environment of processes to come."""
    wanted = config.getoption("--commit-faults")
    if not wanted:
        return
    rate, _, seed = wanted.partition(":")
    seed = seed or str(random.randrange(10**6))
    os.environ[commit_faults.VARIABLE] = f"{rate}:{seed}"
    spare_the_tests(commit_faults.dice(f"{rate}:{seed}"))


def spare_the_tests(fails: Callable[[], bool] | None) -> None:
    """What tests write is not refused; for a process of theirs, which has dice of its own, too."""
    if fails is None:
        return

    def strike() -> bool:
        global refused
        struck = product_asks() and fails()
        refused += struck
        return struck

    commit_faults.strike = strike


def pytest_report_header(config: pytest.Config) -> str:
    """How to repeat this run."""
    planted = os.environ.get(commit_faults.VARIABLE)
    return f"commit faults: {planted}" if planted else ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """That there were some, which is what the run is about."""
    if commit_faults.strike is not None:
        terminalreporter.write_line(f"{refused} commits were refused in this process")


def product_asks() -> bool:
    """Whether the statement on its way is the product's: who stands nearest in the call?

    At the end of a stack of messengers stands ``retrying``, which is the product whoever asked it.
    """
    frame = sys._getframe(1)
    while frame.f_code.co_filename != commit_faults.__file__:
        frame = frame.f_back  # type: ignore[assignment]
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(PRODUCT) and path not in MESSENGERS:
            return True
        if path.startswith(TESTS):
            return False
        if path == pool.__file__ and frame.f_code.co_name == "_attempts":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
