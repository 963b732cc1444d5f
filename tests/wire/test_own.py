"""The document of our own API: every key there, as the OpenAPI document has it."""

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import jsonschema
import orjson
import pytest
from tests.tracking.test_explain import DAY, journey_of
from tests.wire.test_answers import JOURNEY, PARCEL

from milepost.api.json_schemas import generated
from milepost.tracking.expectation import Expected
from milepost.tracking.parcel import Monitoring, MonitoringState
from milepost.tracking.vocabulary import Phase, Reading
from milepost.wire.own import LATE_AFTER, CheckTimes, Described, explanation, parcel_document

HOUR = timedelta(hours=1)
NOW = datetime(2026, 1, 6, 9, 0, tzinfo=UTC)
CHECKED = CheckTimes(NOW - HOUR, NOW + HOUR)
DESCRIBED = Described(PARCEL, JOURNEY, CHECKED)


def check(document: dict[str, Any], schema: str) -> None:
    checker = jsonschema.Draft202012Validator(
        generated(schema.lower()), format_checker=jsonschema.FormatChecker()
    )
    # As it goes out: words are enumerations until then, days are dates.
    assert [
        error.message for error in checker.iter_errors(orjson.loads(orjson.dumps(document)))
    ] == []


def test_the_document_is_what_openapi_says() -> None:
    whole = parcel_document(DESCRIBED, NOW)
    check(whole, "Parcel")
    assert [event["event_id"] for event in whole["events"]] == ["6290003", "6290002", "6290001"]
    listed = parcel_document(DESCRIBED, NOW, events=False)
    check(listed, "Parcel")
    assert listed == {name: value for name, value in whole.items() if name != "events"}


def test_what_was_sent_comes_back_and_the_rest_is_null() -> None:
    document = parcel_document(DESCRIBED, NOW)
    for part in ("from_address", "to_address", "ship_with", "details", "parcel_items", "insurance"):
        assert document[part] == PARCEL.document[part]
    assert (document["return_price"], document["measurements"]) == (None, None)


def test_an_expectation_says_whose_it_is() -> None:
    expected = Expected("carrier", date(2026, 1, 7), NOW, NOW + HOUR)
    parcel = dataclasses.replace(PARCEL, expected=expected)
    document = parcel_document(dataclasses.replace(DESCRIBED, parcel=parcel), NOW)
    check(document, "Parcel")
    assert document["expected_delivery"] == {
        "source": "carrier",
        "day": "2026-01-07",
        "earliest": "2026-01-06T09:00:00Z",
        "latest": "2026-01-06T10:00:00Z",
    }
    assert parcel_document(DESCRIBED, NOW)["expected_delivery"] is None


@pytest.mark.parametrize(
    ("state", "checks", "freshness", "age"),
    [
        ("watching", CHECKED, "current", 3600),
        ("watching", CheckTimes(NOW - HOUR, NOW - LATE_AFTER), "current", 3600),
        ("watching", CheckTimes(NOW - HOUR, NOW - LATE_AFTER - HOUR), "late", 3600),
        ("watching", CheckTimes(None, NOW), "never_checked", None),
        ("watching", CheckTimes(None, NOW - HOUR), "late", None),
        ("ended", CheckTimes(NOW - HOUR, None), "not_watched", 3600),
        ("waiting_for_credentials", CheckTimes(), "not_watched", None),
        # The clocks of two machines need not agree.
        ("watching", CheckTimes(NOW + HOUR, NOW + HOUR), "current", 0),
    ],
)
def test_freshness(state: str, checks: CheckTimes, freshness: str, age: int | None) -> None:
    parcel = dataclasses.replace(PARCEL, monitoring=Monitoring(MonitoringState(state), "Why."))
    document = parcel_document(Described(parcel, JOURNEY, checks), NOW)
    assert document["freshness"] == {"state": freshness, "age_seconds": age}


def test_an_explanation_is_what_openapi_says_and_newest_first() -> None:
    journey = journey_of(
        (-40 * DAY, Reading(Phase.DELIVERED)),
        (DAY, Reading(Phase.DELIVERED)),
        (DAY + HOUR, Reading(Phase.IN_TRANSIT)),
    )
    told = explanation(PARCEL, journey)
    check(told, "Explanation")
    verdicts = [(one["leg"], one["ignored"], one["verdict"]) for one in told["events"]]
    assert verdicts == [
        (1, True, "after_end"),
        (1, False, "moved"),
        (1, False, "moved"),
        (0, True, "older_than_parcel"),
    ]
    late = told["events"][0]
    assert late["reading"]["phase"] == "in_transit"
    assert late["shown"] == {"status": "DELIVERED", **told["events"][1]["reading"]}
    assert told["decided_by"]["raw_code"] == "C1"
