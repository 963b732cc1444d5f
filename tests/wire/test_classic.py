"""Classic webhooks: action, whole milliseconds, and what they are about."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.wire.test_answers import JOURNEY, PARCEL, START, entry, journey
from tests.wire.told import golden

from milepost.tracking.vocabulary import Phase
from milepost.wire.classic import (
    INTEGRATION_ACTIONS,
    Integration,
    integration_changed,
    milliseconds,
    parcel_status_changed,
    webhook_test,
)
from milepost.wire.v2_parcel import parcel_object

RECORDED = datetime(2026, 1, 5, 11, 30, 0, 123_456, tzinfo=UTC)
SHOP = Integration(
    104583,
    "Shop",
    "https://shop.example.org",
    last_updated_at=datetime(2022, 3, 3, 16, 22, 47, 137_622, tzinfo=UTC),
    webhook_active=True,
    webhook_url="https://shop.example.org/hook",
)


def pairs(body: bytes) -> Any:
    return json.loads(body, object_pairs_hook=list)


def test_a_status_has_changed() -> None:
    told = json.loads(parcel_status_changed(PARCEL, JOURNEY, RECORDED))
    assert list(told) == ["action", "timestamp", "carrier_status_change_timestamp", "parcel"]
    assert told["action"] == "parcel_status_changed"
    assert told["timestamp"] == 1767612600123
    assert told["carrier_status_change_timestamp"] == 1767610800277
    assert told["parcel"] == parcel_object(PARCEL, JOURNEY)
    assert told["parcel"]["status"] == {"id": 91, "message": "Parcel en route"}


def test_what_no_carrier_told_has_no_time_at_the_carrier() -> None:
    announced = journey([entry(1, Phase.ANNOUNCED)])
    told = json.loads(parcel_status_changed(PARCEL, announced, RECORDED))
    assert told["carrier_status_change_timestamp"] is None
    parcel, overdue = golden("overdue_off_radar")
    told = json.loads(parcel_status_changed(parcel, overdue, RECORDED))
    assert told["carrier_status_change_timestamp"] is None
    assert told["parcel"]["status"]["message"] == "Delivery delayed"


@pytest.mark.parametrize("action", INTEGRATION_ACTIONS)
def test_an_integration_has_changed(action: Any) -> None:
    assert pairs(integration_changed(action, SHOP, RECORDED)) == [
        ("action", action),
        ("timestamp", 1767612600123),
        (
            "integration",
            [
                ("id", 104583),
                ("shop_name", "Shop"),
                ("shop_url", "https://shop.example.org"),
                ("system", "api"),
                ("failing_since", None),
                ("last_fetch", None),
                ("last_updated_at", "2022-03-03T16:22:47Z"),
                ("service_point_enabled", False),
                ("service_point_carriers", []),
                ("webhook_active", True),
                ("webhook_url", "https://shop.example.org/hook"),
            ],
        ),
    ]


def test_a_test_says_that_it_is_one() -> None:
    assert webhook_test(RECORDED) == b'{"action": "test_webhook", "timestamp": 1767612600123}'


def test_milliseconds_are_never_rounded_up() -> None:
    for microsecond in range(0, 1_000_000, 997):
        moment = START.replace(microsecond=microsecond)
        whole = milliseconds(START.replace(microsecond=0))
        assert milliseconds(moment) == whole + microsecond // 1000
    elsewhere = START.astimezone(datetime.now().astimezone().tzinfo) + timedelta()
    assert milliseconds(elsewhere) == milliseconds(START)
