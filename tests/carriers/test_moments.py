"""Times as carriers print them: local clocks, the hour that exists twice, offsets, nonsense."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.carriers.moments import (
    EARLIEST,
    LATEST,
    is_clamped,
    read_moment,
    read_printed,
)
from milepost.carriers.zones import Zone, zone_of, zone_of_spanish, zones_by_country
from milepost.errors import CarrierParseError
from milepost.tracking.events import Precision, ZoneSource

AMSTERDAM = Zone("Europe/Amsterdam", ZoneSource.PLACE)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def read(stated: str, previous: datetime | None = None) -> datetime:
    return read_moment(stated, AMSTERDAM, "Europe/Amsterdam", previous).instant


def test_a_time_without_a_zone_is_local_time_of_the_place() -> None:
    moment = read_moment("2026-07-01T12:30:45", AMSTERDAM, "Europe/London")
    assert moment.instant == utc("2026-07-01T10:30:45")
    assert moment.home_minute == "2026-07-01T12:30"
    assert (moment.zone, moment.zone_source) == ("Europe/Amsterdam", ZoneSource.PLACE)


def test_an_offset_is_the_carriers_word_and_its_wall_clock_identifies_the_scan() -> None:
    moment = read_moment("2026-01-01T23:19:29+0100", Zone("UTC", ZoneSource.ASSUMED), "UTC")
    assert moment.instant == utc("2026-01-01T22:19:29")
    assert moment.home_minute == "2026-01-01T23:19"
    assert moment.zone_source is ZoneSource.CARRIER


def test_utc_is_put_on_the_home_clock() -> None:
    moment = read_moment("2026-07-01T22:30:00Z", AMSTERDAM, "Europe/Amsterdam")
    assert moment.instant == utc("2026-07-01T22:30:00")
    assert moment.home_minute == "2026-07-02T00:30"


def test_a_day_ends_where_the_parcel_is() -> None:
    moment = read_moment("2026-07-01", AMSTERDAM, "UTC")
    assert (moment.precision, moment.home_minute) == (Precision.DAY, "2026-07-01")
    assert moment.instant == utc("2026-07-01T21:59:59")


def test_the_repeated_hour_keeps_the_list_in_order() -> None:
    first = read("2026-10-25T02:50:00")
    assert first == utc("2026-10-25T00:50:00")
    assert read("2026-10-25T02:20:00", first) == utc("2026-10-25T01:20:00")
    assert read("2026-10-25T02:55:00", first) == utc("2026-10-25T00:55:00")
    # Nothing puts noon before 02:20, so a list that isn't in order doesn't move the time.
    assert read("2026-10-25T02:20:00", utc("2026-10-25T12:00:00")) == utc("2026-10-25T00:20:00")


def test_the_hour_that_spring_skips_is_read_on_the_old_clock() -> None:
    assert read("2026-03-29T02:30:00") == utc("2026-03-29T01:30:00")


@pytest.mark.parametrize("year", ["0001", "1989", "2100", "9999"])
@pytest.mark.parametrize("offset", ["", "Z", "+14:00", "-14:00"])
def test_absurd_years_are_moved_into_range_and_say_so(year: str, offset: str) -> None:
    moment = read_moment(f"{year}-06-01T00:00:00{offset}", AMSTERDAM, "Europe/Amsterdam")
    assert moment.instant in (EARLIEST, LATEST)
    assert is_clamped(moment)
    assert moment.stated.startswith(year)


@pytest.mark.parametrize(
    "nonsense",
    [
        *("", "today", "2026-02-30T10:00:00", "2026-W10-1", "20260101", "2026-01-01T25:00"),
        *("1e400", "2026-01-01T10:00:00+99:00", "٢٠٢٦-01-01", "2026-01-01T10"),
    ],
)
def test_what_is_no_time_is_an_error(nonsense: str) -> None:
    with pytest.raises(CarrierParseError):
        read(nonsense)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?")))
def test_any_text_is_a_moment_in_range_or_an_error(text: str) -> None:
    try:
        instant = read(text)
    except CarrierParseError:
        return
    assert EARLIEST <= instant <= LATEST


@given(st.datetimes(*(datetime(year, 1, 1) for year in (1991, 2099))))  # noqa: DTZ001
def test_a_local_time_reads_back_the_same(wall: datetime) -> None:
    zone = ZoneInfo("Europe/Amsterdam")
    at_home = read(wall.isoformat()).astimezone(zone).replace(tzinfo=None)
    gap = wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    assert at_home == gap


@pytest.mark.parametrize(
    ("country", "postal_code", "expected"),
    [
        ("NL", "", ("Europe/Amsterdam", "place")),
        ("de", "", ("Europe/Berlin", "place")),
        ("ES", "28001", ("Europe/Madrid", "place")),
        ("ES", "35001", ("Atlantic/Canary", "place")),
        ("PT", "9500-150", ("Atlantic/Azores", "place")),
        ("US", "90210", ("America/New_York", "assumed")),
        ("AU", "", ("Australia/Sydney", "assumed")),
        ("", "", ("Europe/London", "assumed")),
        ("XX", "", ("Europe/London", "assumed")),
    ],
)
def test_a_places_clock(country: str, postal_code: str, expected: tuple[str, str]) -> None:
    zone = zone_of(country, postal_code, "Europe/London")
    assert (zone.name, zone.source.value) == expected


def test_every_country_has_a_known_zone() -> None:
    for names in zones_by_country().values():
        assert ZoneInfo(names[0]).key == names[0]


def test_a_printed_day_without_hours_is_the_whole_day() -> None:
    moment = read_printed("03112026", "%d%m%Y", AMSTERDAM, "Europe/Amsterdam")
    assert (moment.stated, moment.home_minute) == ("03112026", "2026-11-03")
    assert moment.precision is Precision.DAY
    assert moment.instant == utc("2026-11-03T22:59:59")


def test_a_province_of_spain_on_the_islands_has_their_clock() -> None:
    assert zone_of_spanish("LAS PALMAS", "UTC") == Zone("Atlantic/Canary", ZoneSource.PLACE)
    assert zone_of_spanish("Burgos", "UTC") == Zone("Europe/Madrid", ZoneSource.PLACE)
    assert zone_of_spanish("", "UTC") == Zone("Europe/Madrid", ZoneSource.PLACE)
