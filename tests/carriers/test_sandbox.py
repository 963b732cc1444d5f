"""The sandbox: stories as pure functions, and asked over real HTTP."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
)
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue
from milepost.carriers.simulator import simulator
from milepost.carriers.stories import HORIZON, Script, Telling, read_script, tell
from milepost.tracking.events import Scan, ZoneSource

BEGIN = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def script() -> Script:
    carrier = Catalogue.load().get("sandbox")
    assert carrier is not None
    return read_script(carrier.folder / carrier.manifest.stories)


def codes(telling: Telling) -> list[str]:
    return [event["code"] for event in telling.document.get("events", [])]


async def asked(
    number: str,
    now: datetime,
    begin: datetime = BEGIN,
    credential: Credential = Credential("account:1"),  # noqa: B008
) -> Outcome:
    catalogue = Catalogue.load()
    carrier = catalogue.get("sandbox")
    connector: Connector | None = carrier.connector() if carrier else None
    assert connector is not None
    item = Item("1", number, shipped_at=begin)
    async with simulator(catalogue, lambda: now) as routes, Fetcher(routes=routes) as fetcher:
        return (await connector.ask([item], credential, fetcher))[item]


def phases(scans: Sequence[Scan]) -> list[str]:
    return [scan.reading.phase.value for scan in scans]


def test_every_story_ends_within_the_horizon_and_knows_its_places() -> None:
    book = script()
    for name, story in book.stories.items():
        number = f"SBX-{name}-0001"
        for hours in (0, 1, 10, 50, 400):
            telling = tell(book, number, BEGIN, BEGIN + hours * HOUR)
            assert telling.status in (200, 404, 503)
        assert all(timedelta(hours=event.at) < HORIZON for event in story.events)


def test_every_code_of_the_stories_is_mapped() -> None:
    carrier = Catalogue.load().get("sandbox")
    assert carrier is not None
    told = {event.code for story in script().stories.values() for event in story.events}
    assert told == set(carrier.manifest.by_code)


def test_every_story_has_a_number_the_manifest_knows() -> None:
    carrier = Catalogue.load().get("sandbox")
    assert carrier is not None
    for name in script().stories:
        assert carrier.number_notice(f"sbx-{name.lower()}-8640x-1") is None
    assert carrier.number_notice("SBX-SAD-1") is not None


def test_a_story_unfolds_with_time() -> None:
    book = script()
    assert tell(book, "SBX-HAPPY-1", BEGIN, BEGIN).status == 404
    assert codes(tell(book, "SBX-HAPPY-1", BEGIN, BEGIN + HOUR)) == ["ACCEPTED"]
    assert codes(tell(book, "SBX-HAPPY-1", BEGIN, BEGIN + 34 * HOUR))[-1] == "DELIVERED"


def test_a_fast_happy_path_is_over_in_fifteen_seconds() -> None:
    book = script()
    number = "SBX-HAPPY-8640X-0001"
    seen = [
        codes(tell(book, number, BEGIN, BEGIN + timedelta(seconds=second)))[-1:]
        for second in range(1, 16)
    ]
    assert seen[0] == ["ACCEPTED"]
    assert ["OUT_FOR_DELIVERY"] in seen
    assert seen[-1] == ["DELIVERED"]
    same = tell(book, "SBX-HAPPY-1", BEGIN, BEGIN + timedelta(seconds=15), speed=8640)
    assert codes(same)[-1] == "DELIVERED"


def test_the_clock_can_be_moved_and_stops_at_the_horizon() -> None:
    book = script()
    moved = tell(book, "SBX-HAPPY-1", BEGIN, BEGIN, offset=timedelta(hours=31))
    assert moved.document["now"] == "2026-06-02T15:00:00.000Z"
    assert codes(moved)[-1] == "OUT_FOR_DELIVERY"
    forgotten = tell(book, "SBX-LOST-8640X-1", BEGIN, BEGIN + timedelta(days=30))
    assert forgotten.document["now"] == "2026-09-29T08:00:00.000Z"


def test_the_same_question_is_answered_the_same() -> None:
    book = script()
    for name in book.stories:
        at = BEGIN + 30 * HOUR
        assert tell(book, f"SBX-{name}-1", BEGIN, at) == tell(book, f"SBX-{name}-1", BEGIN, at)


async def test_a_found_parcel_has_the_simulated_clock() -> None:
    outcome = await asked("SBX-HAPPY-8640X-0001", BEGIN + timedelta(seconds=15))
    assert isinstance(outcome, Found)
    assert phases(outcome.scans) == (
        ["accepted", "sorted", "in_transit", "sorted", "none", "in_delivery", "delivered"]
    )
    assert outcome.signed_by
    assert outcome.as_of == BEGIN + 36 * HOUR
    assert all(scan.moment.instant <= outcome.as_of for scan in outcome.scans)


async def test_the_credential_moves_the_clock() -> None:
    credential = Credential("account:1", {"clock_offset_seconds": "7200", "speed": "1"})
    outcome = await asked("sbx-happy-1", BEGIN, credential=credential)
    assert isinstance(outcome, Found)
    assert outcome.as_of == BEGIN + 2 * HOUR
    assert phases(outcome.scans) == ["accepted"]


@pytest.mark.parametrize("number", ["SBX-NEVER-1", "SBX-SAD-1", "", "../../etc/passwd", "é" * 255])
async def test_never_scanned_and_no_story_are_not_found(number: str) -> None:
    outcome = await asked(number, BEGIN + 100 * HOUR)
    assert outcome == NotFound(as_of=BEGIN + 100 * HOUR)


async def test_not_begun_yet_is_not_found() -> None:
    assert isinstance(await asked("SBX-HAPPY-8640X-1", BEGIN - HOUR), NotFound)


async def test_the_outage_lasts_six_hours_and_concerns_one_parcel() -> None:
    for hours, kind in ((7.9, Found), (8, Broken), (13.9, Broken), (14, Found)):
        outcome = await asked("SBX-OUTAGE-1", BEGIN + hours * HOUR)
        assert isinstance(outcome, kind)
        assert not isinstance(outcome, Broken) or not outcome.lane_wide


async def test_duplicates_are_told_as_such() -> None:
    outcome = await asked("SBX-DUPLICATE-1", BEGIN + 30 * HOUR)
    assert isinstance(outcome, Found)
    assert len(outcome.scans) == 11
    assert len({(scan.scan_class, scan.moment.home_minute) for scan in outcome.scans}) == 4


async def test_new_words_for_the_same_scan() -> None:
    early, late = [await asked("SBX-REWORDED-1", BEGIN + at * HOUR) for at in (11, 30)]
    assert isinstance(early, Found)
    assert isinstance(late, Found)
    assert early.scans[0].raw_text != late.scans[0].raw_text
    assert early.scans[0].moment == late.scans[0].moment


async def test_an_unordered_story_tells_a_scan_after_the_delivery() -> None:
    before, after = [await asked("SBX-UNORDERED-1", BEGIN + at * HOUR) for at in (25, 40)]
    assert isinstance(before, Found)
    assert isinstance(after, Found)
    assert "delivered" in phases(before.scans)
    assert len(after.scans) == len(before.scans) + 1
    times = [scan.moment.instant for scan in after.scans]
    assert times != sorted(times)
    assert times != sorted(times, reverse=True)


async def test_the_night_the_clocks_go_back() -> None:
    outcome = await asked("SBX-CLOCKS-1", BEGIN + 40 * HOUR)
    assert isinstance(outcome, Found)
    assert [scan.moment.stated for scan in outcome.scans][1:4] == [
        "2026-10-25T00:30:00",
        "2026-10-25T02:48:00",
        "2026-10-25T02:18:00",
    ]
    instants = [scan.moment.instant for scan in outcome.scans]
    assert instants == sorted(instants)
    assert instants[3] - instants[2] == timedelta(minutes=30)
    assert {scan.moment.zone_source for scan in outcome.scans} == {ZoneSource.PLACE}
    first = await asked("SBX-CLOCKS-1", BEGIN + timedelta(seconds=1))
    assert isinstance(first, Found)
    assert first.as_of == datetime(2026, 10, 24, 10, 0, 1, tzinfo=UTC)


async def test_return_customs_pickup_and_loss_end_as_they_should() -> None:
    ends = {}
    for name in ("RETURN", "CUSTOMS", "PICKUP", "LOST"):
        outcome = await asked(f"SBX-{name}-1", BEGIN + 300 * HOUR)
        assert isinstance(outcome, Found)
        reading = outcome.scans[-1].reading
        ends[name] = f"{reading.phase} {reading.exception}"
    assert ends == {
        "RETURN": "delivered returned_sender",
        "CUSTOMS": "delivered none",
        "PICKUP": "delivered returned_sender",
        "LOST": "in_transit missing",
    }
