"""Logs of these tests go nowhere: unconfigured, every fault would be drawn with all locals."""

import io

import pytest

from milepost import observe


@pytest.fixture(autouse=True)
def _quiet() -> None:
    observe.configure("test", io.StringIO())
