"""P14: we never call inside, however the address is spelt, wrapped, answered or redirected to."""

import json
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.promises.figures import keep
from tests.promises.outbound_bugs import BUGS, GUARDED
from tests.promises.outbound_vectors import PUBLIC, PUBLIC_INSIDE

pytestmark = [pytest.mark.promise, pytest.mark.beside]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """Every vector called by the client as it is, and by each that is wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.promises.outbound"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_nothing_inside_is_dialled(report: dict[str, Any]) -> None:
    told = report["none"]
    keep("P14", vectors=told["vectors"], dialled_inside=len(told["wrongly"]))
    assert told["vectors"] >= 150
    assert told["wrongly"] == []
    assert told["reached"] == []
    # Each was refused, none failed for another reason.
    assert told["sent"] == []


def test_a_name_that_changes_is_dialled_where_it_was_judged(report: dict[str, Any]) -> None:
    assert report["none"]["turned"] == 15


def test_what_is_public_is_dialled(report: dict[str, Any]) -> None:
    dialled = [list(map(ip_address, told)) for _, told in report["none"]["dialled"]]
    assert dialled == [[ip_address(one)] for one in PUBLIC + PUBLIC_INSIDE for _ in range(2)]


@pytest.mark.parametrize("bug", sorted(BUGS.keys() - GUARDED.keys()))
def test_a_wrong_guard_is_seen(report: dict[str, Any], bug: str) -> None:
    assert report[bug]["wrongly"]


@pytest.mark.parametrize("bug", GUARDED)
def test_the_guard_at_the_socket_stands_alone(report: dict[str, Any], bug: str) -> None:
    assert report[bug]["wrongly"] == []
    assert report[bug]["reached"] == []
