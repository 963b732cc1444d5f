"""What a lane waits for, where another carrier answers for its code."""

from collections.abc import Collection

import pytest

from milepost.monitoring.queues import Held, LaneAge, waiting

LANES = (LaneAge(7, "playground", "open", True, 5.0), LaneAge(8, "playground", "open", True, 9.0))
ASKED = {"playground": "sandbox"}


def told(held: Collection[Held], stopped: Collection[str] = ()) -> dict[str, int]:
    found = waiting(LANES, lambda code: ASKED.get(code, code), held, stopped)
    return {what: one.lanes for what, one in found.items() if one.lanes}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((), {"paused": 2}),
        ((Held("sandbox", "operator", False),), {"throttled": 2}),
        ((Held("sandbox", "operator", True),), {"breaker_open": 2}),
        ((Held("sandbox", "account:7", True),), {"breaker_open": 1, "paused": 1}),
        ((Held("playground", "operator", True),), {"paused": 2}),
    ],
)
def test_it_is_the_quota_of_who_is_asked(held: Collection[Held], expected: dict[str, int]) -> None:
    assert told(held) == expected


def test_nobody_asks_a_code_whose_carrier_is_stopped() -> None:
    assert told((), ("sandbox",)) == {"stopped": 2}
    assert told((), ("playground",)) == {"paused": 2}
