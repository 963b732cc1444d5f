"""``parcels.event.created``: the documented body to the letter, and what each flag means."""

import dataclasses
import json
from typing import Any

import pytest
from tests.wire.test_answers import JOURNEY, PARCEL, entry, journey
from tests.wire.told import NAMES, golden

from milepost.tracking.events import Place
from milepost.tracking.journey import Entry, Journey, Verdict
from milepost.tracking.parcel import TrackedParcel
from milepost.tracking.status import status_of
from milepost.tracking.vocabulary import EventType, ExceptionCode, Phase, Reading
from milepost.wire.v3 import tracking_answer
from milepost.wire.v3_event import event_created


def told(parcel: TrackedParcel, whole: Journey, one: Entry) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(event_created(parcel, whole, one))["data"]["event"]
    return event


def flags(name: str, flag: str) -> list[tuple[str, Any]]:
    """The phase in force after each event of a golden journey, and a flag of its body."""
    parcel, whole = golden(name)
    return [(one.shown.phase.value, told(parcel, whole, one)[flag]) for one in whole.entries]


def test_the_documented_body() -> None:
    body = event_created(PARCEL, JOURNEY, JOURNEY.entries[1])
    assert json.loads(body, object_pairs_hook=list) == [
        ("event_type", "parcels.event.created"),
        (
            "data",
            [
                (
                    "parcel",
                    [
                        ("parcel_id", 629),
                        ("tracking_number", "3SYZXG132912330"),
                        ("carrier_code", "postnl"),
                        ("announced_at", "2026-01-05T09:00:00Z"),
                    ],
                ),
                (
                    "event",
                    [
                        ("event_type", "carrier"),
                        ("timestamp", "2026-01-05T10:00:00Z"),
                        ("phase", "accepted"),
                        ("exception", "none"),
                        ("status_type", "success"),
                        ("sub_status", "none"),
                        ("description", "Parcel has been accepted by carrier"),
                        ("end_of_tracking", False),
                        ("is_offered", False),
                        ("is_carrier_responsible", None),
                        ("is_returned", False),
                        (
                            "location_details",
                            [
                                ("city", "Eindhoven"),
                                ("country", "NL"),
                                ("house_number", None),
                                ("postal_code", None),
                                ("street", None),
                                ("service_point_id", 12),
                                ("depot", None),
                            ],
                        ),
                        ("extra_data", [("event_code", "C")]),
                    ],
                ),
            ],
        ),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_a_look_up_says(name: str) -> None:
    parcel, whole = golden(name)
    events = json.loads(tracking_answer(parcel, whole, oldest_first=True))["events"]
    for one, looked_up in zip(whole.entries, events, strict=True):
        event = told(parcel, whole, one)
        same = event.keys() & looked_up.keys()
        assert len(same) == 8
        assert {key: event[key] for key in same} == {key: looked_up[key] for key in same}
    ended = bool(whole.entries) and told(parcel, whole, whole.entries[-1])["end_of_tracking"]
    assert ended == (whole.ended_at is not None)


def test_tracking_ends_and_may_go_on() -> None:
    assert flags("happy_path", "end_of_tracking")[-1] == ("delivered", True)
    assert not any(ended for _, ended in flags("happy_path", "end_of_tracking")[:-1])
    ends = [ended for _, ended in flags("reopened_after_wrong_delivery", "end_of_tracking")]
    assert True in ends[:-1]
    assert False in ends[ends.index(True) :]


def test_offered_is_said_of_the_parcel_from_its_first_offer_on() -> None:
    offered = flags("picked_up", "is_offered")
    assert ("in_delivery", True) not in offered[: offered.index(("pup", True))]
    assert all(flag for _, flag in offered[offered.index(("pup", True)) :])
    back = journey([entry(1, Phase.ATTEMPTED), entry(2, Phase.SORTED)])
    assert [told(PARCEL, back, one)["is_offered"] for one in back.entries] == [True, True]
    way = journey([entry(1, Phase.IN_DELIVERY), entry(2, Phase.ATTEMPTED)])
    assert [told(PARCEL, way, one)["is_offered"] for one in way.entries] == [False, True]


def test_the_way_back_is_a_leg_that_offers_anew() -> None:
    returned = flags("refused_then_returned", "is_returned")
    first = [flag for _, flag in returned].index(True)
    assert [flag for _, flag in returned] == [False] * first + [True] * (len(returned) - first)
    offered = [flag for _, flag in flags("refused_then_returned", "is_offered")]
    assert offered[first - 1 :] == [True] + [False] * (len(returned) - first - 1) + [True]


def test_what_was_registered_as_a_return_is_one_from_the_beginning() -> None:
    parcel = dataclasses.replace(
        PARCEL, document={**PARCEL.document, "details": {"is_return": True}}
    )
    assert told(parcel, JOURNEY, JOURNEY.entries[0])["is_returned"] is True
    bare = {name: part for name, part in PARCEL.document.items() if name != "details"}
    plain = dataclasses.replace(PARCEL, document=bare)
    assert told(plain, JOURNEY, JOURNEY.entries[0])["is_returned"] is False


def test_a_withdrawn_event_has_a_body_too() -> None:
    one = entry(9, Phase.DELIVERED)
    reading = Reading(Phase.IN_TRANSIT, ExceptionCode.DELIVERY_DELAY)
    lone = Entry(one.event, one.effective_at, 0, Verdict.WITHDRAWN, reading, status_of(reading))
    event = told(PARCEL, JOURNEY, lone)
    assert (event["exception"], event["is_offered"], event["is_returned"]) == (
        "delivery_delay",
        False,
        False,
    )


def test_the_carriers_own_words_are_extra_data_and_never_the_description() -> None:
    one = entry(2, Phase.IN_TRANSIT, "Zugestellt an Kasse (delivered to desk)")
    event = told(PARCEL, journey([one]), one)
    assert event["description"] == "Parcel is on its way"
    assert event["extra_data"] == {
        "event_code": "C",
        "event_text": "Zugestellt an Kasse (delivered to desk)",
    }
    ours = entry(1, Phase.ANNOUNCED, "Announced")
    assert ours.event.event_type is EventType.INTERNAL
    assert told(PARCEL, journey([ours]), ours)["extra_data"] is None


def test_until_when_a_parcel_waits_is_told_while_it_waits() -> None:
    parcel = dataclasses.replace(PARCEL, extra={"held_until": "2026-01-12T17:00:00Z"})
    waiting, moving = entry(2, Phase.PUP), entry(3, Phase.DELIVERED)
    whole = journey([waiting, moving])
    assert told(parcel, whole, waiting)["extra_data"]["pickup_until"] == "2026-01-12T17:00:00Z"
    assert "pickup_until" not in told(parcel, whole, moving)["extra_data"]
    assert "pickup_until" not in told(PARCEL, whole, waiting)["extra_data"]


def test_a_place_of_which_nothing_is_known_is_null() -> None:
    one = entry(2, Phase.IN_TRANSIT, "", Place())
    assert told(PARCEL, journey([one]), one)["location_details"] is None
