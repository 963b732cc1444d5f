"""Pushes in our own form: read as rows of files are, and what can't be read costs itself alone."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.intake.told import Told

from milepost.accounts.secret_keys import SecretKeys
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.errors import CarrierParseError
from milepost.intake import addresses, inbox
from milepost.intake.addresses import Addresses
from milepost.intake.own_form import MOST_EVENTS, MOST_PARCELS, read_own_form
from milepost.intake.told_rows import Sender, read_telling
from milepost.tracking.events import Wording
from milepost.tracking.vocabulary import UNREAD

SLOW = Sender("slowpost")
EVENT = {"event_at": "2026-11-04T06:44:11+01:00", "phase": "in_transit"}


def parcel(number: str = "SP1", *events: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"tracking_number": number, "events": list(events) or [EVENT], **more}


def test_one_parcel_or_many_with_all_that_an_event_may_say() -> None:
    event = EVENT | {
        "event_type": "carrier",
        "exception": "damaged",
        "sub_status": "damaged",
        "code": "D7",
        "text": "Box torn",
        "location": {
            "city": "Hamburg",
            "country_code": "de",
            "postal_code": "20095",
            "street": "Kai",
            "house_number": "7",
            "depot": "H1",
            "service_point_id": "p",
        },
    }
    one = parcel("SP 1", event, expected_delivery_date="2026-11-06", signed_by="Anna", other=[1])
    pushed = read_own_form(SLOW, json.dumps(one).encode())
    ((number, found),) = pushed.told
    assert (number, pushed.problem) == ("SP 1", "")
    (scan,) = found.scans
    assert (scan.raw_code, scan.raw_text, scan.scan_class) == ("D7", "Box torn", "D7")
    assert scan.moment.instant.isoformat() == "2026-11-04T05:44:11+00:00"
    told = scan.reading
    assert [told.phase, told.exception, told.status_type, told.sub_status] == [
        "in_transit",
        "damaged",
        "warning",
        "damaged",
    ]
    assert (scan.place.city, scan.place.country_code, scan.place.street) == ("Hamburg", "DE", "Kai")
    assert (str(found.estimate and found.estimate.day), found.signed_by) == ("2026-11-06", "Anna")
    assert json.loads(found.raw) == one
    many = {"parcels": [parcel("A"), parcel("B")]}
    assert [number for number, _ in read_own_form(SLOW, json.dumps(many).encode()).told] == [
        "A",
        "B",
    ]


def test_a_scan_is_the_same_one_whether_it_is_pushed_or_in_a_file() -> None:
    words = {"phase": "attempted", "exception": "refused", "sub_status": "receiver"}
    pushed = read_own_form(SLOW, json.dumps(parcel("A", EVENT | words)).encode())
    filed = read_telling(SLOW, {"tracking_number": "A", **words}, EVENT["event_at"])
    (scan,) = pushed.told[0][1].scans
    assert (scan.scan_class, scan.moment, scan.reading) == (
        filed.scan.scan_class,
        filed.scan.moment,
        filed.scan.reading,
    )


def test_an_exception_may_stand_alone_and_a_code_means_what_the_carrier_means_by_it() -> None:
    alone = {"event_at": "2026-11-04", "exception": "claim"}
    ((_, found),) = read_own_form(SLOW, json.dumps(parcel("A", alone)).encode()).told
    assert (found.scans[0].reading.phase, found.scans[0].reading.exception) == ("none", "claim")
    coded = {"event_at": "2026-11-04T10:00", "code": "delivered", "phase": "in_transit"}
    dhl = Sender.of("dhl", Catalogue.load())
    ((_, found),) = read_own_form(dhl, json.dumps(parcel("A", coded)).encode()).told
    assert found.scans[0].reading.phase == "delivered"
    strange = {"event_at": "2026-11-04T10:00", "code": "77"}
    ((_, found),) = read_own_form(SLOW, json.dumps(parcel("A", strange)).encode()).told
    assert found.scans[0].reading == UNREAD


def test_what_our_own_words_said_is_said_again_by_todays_rules() -> None:
    carrier = Catalogue.load().get("dhl")
    assert carrier is not None
    words = EVENT | {"code": "nobody-maps-this", "exception": "damaged"}
    pushed = read_own_form(Sender("dhl", carrier.manifest), json.dumps(parcel("A", words)).encode())
    (scan,) = pushed.told[0][1].scans
    assert scan.reading.exception == "damaged"
    told = Wording(
        source="push",
        observed_at=scan.moment.instant,
        raw_code=scan.raw_code,
        raw_text=scan.raw_text,
        raw_fields=scan.raw_fields,
        place=scan.place,
        moment=scan.moment,
        reading=scan.reading,
        leg="",
        position=0,
        mapping_version=scan.mapping_version,
    )
    assert carrier.reread(told) == scan.reading
    # Without the mark of our form it is the carrier's own word, and that is not known.
    assert carrier.reread(replace(told, raw_fields={})) == UNREAD


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"phase": "in_transitt"}, "phase: 'in_transitt' is none of its words; is in_transit"),
        ({"exception": "lost"}, "exception: 'lost' is none of its words"),
        ({"event_at": ""}, ".event_at is missing"),
        ({"event_at": "soon"}, "soon"),
        ({"event_type": "claim"}, "event_type: a carrier tells its own events alone"),
        ({"location": "Hamburg"}, "location is not an object"),
        ({"phase": ""}, "it says nothing"),
        ({"code": "x" * 256}, "code: longer than 255 characters"),
    ],
)
def test_what_can_not_be_read_costs_itself_alone(event: dict[str, Any], why: str) -> None:
    document = {"parcels": [parcel("A", EVENT | event, EVENT), parcel("B"), {"events": [EVENT]}]}
    pushed = read_own_form(SLOW, json.dumps(document).encode())
    assert [(number, len(found.scans)) for number, found in pushed.told] == [("A", 1), ("B", 1)]
    assert pushed.problem.startswith("answer.parcels[0].events[0]")
    assert pushed.problem.count("answer") == 1
    assert why in pushed.problem
    assert pushed.problem.endswith("(and 1 more)")


def test_no_parcels_are_no_fault() -> None:
    assert read_own_form(SLOW, b'{"parcels": []}').told == ()


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        7,
        {"parcels": {}},
        {"parcels": [7]},
        {"parcels": "x"},
        parcel(""),
        {"tracking_number": "A"},
        {"tracking_number": "A", "events": []},
        {"tracking_number": "A", "events": [EVENT] * (MOST_EVENTS + 1)},
        {"tracking_number": {"a": 1}, "events": [EVENT]},
        {"parcels": [parcel()] * (MOST_PARCELS + 1)},
    ],
)
def test_what_has_not_the_form_is_unreadable(document: object) -> None:
    with pytest.raises(CarrierParseError):
        read_own_form(SLOW, json.dumps(document).encode())


async def test_a_carrier_of_no_catalogue_pushes_and_dead_letters_are_seen(
    told: Told, admin_pool: Pool, secret_keys: SecretKeys, catalogue: Catalogue
) -> None:
    new = await addresses.add(admin_pool, secret_keys, catalogue, told.account, "slow-post")
    doors = Addresses(told.pool, secret_keys, catalogue)
    told.knock = await doors.find("slow-post", new.path.rpartition("/")[2])
    parcel_id = await told.register("SP1", "slow-post")
    await told.register("SP1", "ups")  # another carrier's of the same number
    good, wrong = EVENT, {"event_at": "2026-11-05", "phase": "lost"}
    assert await told.push(json.dumps(parcel("sp 1", good)).encode())
    assert await told.work() == 1
    (event,) = await told.events(parcel_id)
    assert (event.carrier_code, event.wording.source) == ("slow-post", "push")
    assert event.wording.reading.phase == "in_transit"
    # Told once more with one that can't be read: that is kept, and what can be is told.
    late = EVENT | {"event_at": "2026-11-05T08:00:00Z", "phase": "in_delivery"}
    await told.push(json.dumps(parcel("SP1", good, wrong, late)).encode())
    await told.push(b'{"hello": "world"}')
    await told.push(json.dumps(parcel("SP2")).encode())
    assert await told.work() == 3
    assert len(await told.events(parcel_id)) == 2
    kept = await inbox.kept(told.pool, told.account, "slow-post", 9)
    assert sorted((one.state, one.numbers) for one in kept) == [
        ("unknown_number", ("SP2",)),
        ("unreadable", ()),
        ("unreadable", ("SP1",)),
    ]
    assert any("'lost' is none of its words" in one.reason for one in kept)
