"""The alarms of the long forms: on when their rule has been true for long enough, off again."""

from collections.abc import Iterator

import pytest
from tests.cli.test_metrics_port import Sample
from tests.promises import alarms
from tests.promises.alarms import EVERY, Alarms

REQUESTS = "milepost_request_seconds_count"


def on_after(told: Iterator[list[Sample]], looks: int) -> list[set[str]]:
    """What is on at each look."""
    seen, found = Alarms("", began=0.0), []
    for number, samples in zip(range(looks), told, strict=False):
        seen.see(EVERY * number, samples)
        found.append(set(seen.on))
    return found


def up(*values: float) -> Iterator[list[Sample]]:
    for value in values:
        yield [("milepost_database_up", {}, value)]


def requests(*counts: tuple[float, float]) -> Iterator[list[Sample]]:
    for good, bad in counts:
        yield [(REQUESTS, {"status": "200"}, good), (REQUESTS, {"status": "503"}, bad)]


def resting(*shares: float) -> Iterator[list[Sample]]:
    for share in shares:
        states = {"open": 100 - share, "resting": share, "disabled": 900}
        yield [("milepost_connections", {"state": one}, states[one]) for one in states]


DOWN, FAULTS = {"MilepostDatabaseDown"}, {"MilepostServerErrors"}
FAILING = {"MilepostSubscribersFailing"}
NONE = set[str]()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (up(1, 0, 0, 0, 1), [NONE, NONE, NONE, DOWN, NONE]),
        (up(0, 0, 1, 0, 0), [NONE] * 5),
        (resting(20, 21, 21, 21, 20), [NONE, NONE, NONE, FAILING, NONE]),
        (requests((0, 9), (98, 11), (98, 11), (98, 11)), [NONE, NONE, NONE, FAULTS]),
        (requests((0, 9), (198, 11), (198, 11), (198, 11)), [NONE] * 4),
    ],
)
def test_an_alarm_is_on_while_it_has_been_true_for_long_enough(
    told: Iterator[list[Sample]], expected: list[set[str]]
) -> None:
    assert on_after(told, len(expected)) == expected


def test_faults_are_forgotten_after_five_minutes() -> None:
    counts = [(0.0, 0.0), (10.0, 10.0)] + [(10.0 + n, 10.0) for n in range(25)]
    found = on_after(requests(*counts), len(counts))
    assert found[3] == FAULTS
    assert found[-1] == NONE


async def test_one_that_stays_off_or_on_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "WITHIN", 0.0)
    seen = Alarms("")
    with pytest.raises(AssertionError, match="MilepostDatabaseDown is not on"):
        await seen.goes_on("MilepostDatabaseDown")
    seen.on.add("MilepostDatabaseDown")
    with pytest.raises(AssertionError, match="still on"):
        await seen.goes_off("MilepostDatabaseDown", 0.0)
