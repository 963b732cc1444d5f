"""Times as carriers print them: local clocks, the hour that exists twice, offsets, nonsense."""

from datetime import UTC, datetime, timedelta
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
from milepost.carriers.zones import (
    Zone,
    _postal_zones,
    zone_of,
    zone_of_spanish,
    zones_by_country,
)
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
    # A printed time does not say which of two it is.
    wall = wall.replace(fold=0)
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
        ("ES", "38 670", ("Atlantic/Canary", "place")),
        ("PT", "9000-072", ("Atlantic/Madeira", "place")),
        ("PT", "1100-148", ("Europe/Lisbon", "place")),
        ("FR", "75011", ("Europe/Paris", "place")),
        ("FR", "97110", ("America/Guadeloupe", "place")),
        ("FR", "97200", ("America/Martinique", "place")),
        ("FR", "97300", ("America/Cayenne", "place")),
        ("FR", "97400", ("Indian/Reunion", "place")),
        ("FR", "97600", ("Indian/Mayotte", "place")),
        ("FR", "98800", ("Pacific/Noumea", "place")),
        ("RE", "", ("Indian/Reunion", "place")),
        ("US", "90210", ("America/Los_Angeles", "place")),
        ("US", "60601-1234", ("America/Chicago", "place")),
        ("US", "00901", ("America/Puerto_Rico", "place")),
        ("US", "85001", ("America/Phoenix", "place")),
        # In two zones: nobody can say.
        ("US", "47951", ("America/New_York", "assumed")),
        ("US", "", ("America/New_York", "assumed")),
        ("CA", "V6B 1A1", ("America/Vancouver", "place")),
        ("CA", "s9v 0a1", ("America/Edmonton", "place")),
        ("CA", "S4P", ("America/Regina", "place")),
        ("BR", "69005-010", ("America/Manaus", "place")),
        ("BR", "01310-100", ("America/Sao_Paulo", "place")),
        ("BR", "53990-000", ("America/Noronha", "place")),
        ("RU", "690001", ("Asia/Vladivostok", "place")),
        ("RU", "236006", ("Europe/Kaliningrad", "place")),
        ("RU", "101000", ("Europe/Moscow", "place")),
        ("AU", "2880", ("Australia/Adelaide", "place")),
        ("AU", "0800", ("Australia/Darwin", "place")),
        ("AU", "", ("Australia/Sydney", "assumed")),
        ("CN", "", ("Asia/Shanghai", "place")),
        ("MX", "22000", ("America/Mexico_City", "assumed")),
        ("", "", ("Europe/London", "assumed")),
        ("XX", "", ("Europe/London", "assumed")),
        ("", "35001", ("Europe/London", "assumed")),
    ],
)
def test_a_places_clock(country: str, postal_code: str, expected: tuple[str, str]) -> None:
    zone = zone_of(country, postal_code, "Europe/London")
    assert (zone.name, zone.source.value) == expected


@pytest.mark.parametrize(
    ("country", "city", "expected"),
    [
        ("US", "CHICAGO", ("America/Chicago", "place")),
        ("US", "Los Angeles", ("America/Los_Angeles", "place")),
        ("RU", "Vladivostok", ("Asia/Vladivostok", "place")),
        ("US", "Springfield", ("America/New_York", "assumed")),
        # Zones are called after towns of these names in Indiana, Kentucky and North Dakota.
        ("US", "Monticello", ("America/New_York", "assumed")),
        ("US", "Center", ("America/New_York", "assumed")),
        ("US", "Indianapolis", ("America/Indiana/Indianapolis", "place")),
        ("GB", "Chicago", ("Europe/London", "place")),
        ("", "Chicago", ("Europe/Paris", "assumed")),
    ],
)
def test_a_city_that_a_clock_is_called_after(
    country: str, city: str, expected: tuple[str, str]
) -> None:
    zone = zone_of(country, "", "Europe/Paris", city)
    assert (zone.name, zone.source.value) == expected


def test_a_postal_code_goes_before_a_city_of_the_same_name() -> None:
    assert zone_of("US", "17517", "UTC", "Denver").name == "America/New_York"


def test_postal_codes_lead_to_zones_of_their_country() -> None:
    codes = {"FR": {"GP", "MQ", "GF", "RE", "PM", "YT", "BL", "MF", "WF", "PF", "NC"}}
    codes |= {"US": {"PR", "GU", "AS", "PW", "FM", "MH"}, "AU": {"CX", "CC"}}
    for country, told in _postal_zones().items():
        known = {
            name
            for code in {country} | codes.get(country, set())
            for name in zones_by_country()[code]
        }
        assert {*told.zones.values(), told.rest} - {""} <= known, country


# Which of the two: gaps and folds, in both directions of time and around the world. -------------


@pytest.mark.parametrize(
    ("zone", "gap", "expected"),
    [
        ("Europe/Madrid", "2026-03-29T02:30", "2026-03-29T01:30"),
        ("Atlantic/Canary", "2026-03-29T01:30", "2026-03-29T01:30"),
        ("Atlantic/Azores", "2026-03-29T00:30", "2026-03-29T01:30"),
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:30"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45"),
        ("America/Santiago", "2026-09-06T00:30", "2026-09-06T04:30"),
    ],
)
def test_a_time_that_spring_skips_is_of_a_clock_not_put_forward(
    zone: str, gap: str, expected: str
) -> None:
    moment = read_moment(gap, Zone(zone, ZoneSource.PLACE), zone)
    assert moment.instant == utc(expected)
    # The scan keeps the minute that was printed: it is what tells it from others.
    assert moment.home_minute == gap
    # Not moved by the scan before, wherever that lies: there is one way to read it.
    for before in (utc(expected) - timedelta(hours=9), utc(expected) + timedelta(minutes=5)):
        assert read_moment(gap, Zone(zone, ZoneSource.PLACE), zone, before).instant == utc(expected)


@pytest.mark.parametrize(
    ("zone", "wall", "first"),
    [
        ("Europe/Madrid", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Atlantic/Canary", "2026-10-25T01:30", "2026-10-25T00:30"),
        ("Atlantic/Azores", "2026-10-25T00:30", "2026-10-25T00:30"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
        ("America/Santiago", "2026-04-04T23:30", "2026-04-05T02:30"),
    ],
)
def test_a_time_that_autumn_shows_twice_is_the_first_unless_the_list_says_otherwise(
    zone: str, wall: str, first: str
) -> None:
    def at(previous: datetime | None) -> datetime:
        return read_moment(wall, Zone(zone, ZoneSource.PLACE), zone, previous).instant

    once, again = utc(first), utc(first) + timedelta(hours=1)
    assert at(None) == at(once - timedelta(hours=3)) == at(once) == once
    assert at(once + timedelta(minutes=1)) == at(again) == again
    assert at(again + timedelta(minutes=1)) == once


def test_scans_of_the_repeated_hour_stay_in_the_order_told() -> None:
    told = ["02:05", "02:55", "02:10", "02:50", "03:05"]
    instants: list[datetime] = []
    for clock in told:
        previous = instants[-1] if instants else None
        instants.append(read(f"2026-10-25T{clock}", previous))
    assert instants == sorted(instants)
    assert [one.strftime("%H:%M") for one in instants] == [
        "00:05",
        "00:55",
        "01:10",
        "01:50",
        "02:05",
    ]


def test_a_day_whose_last_hour_comes_twice_ends_the_second_time() -> None:
    moment = read_moment("2026-04-04", Zone("America/Santiago", ZoneSource.PLACE), "UTC")
    assert moment.instant == utc("2026-04-05T03:59:59")


def test_offsets_and_utc_know_neither_gap_nor_fold() -> None:
    for stated, expected in (
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30"),
        ("2026-03-29T02:30:00+01:00", "2026-03-29T01:30"),
        ("2026-10-25T01:30:00Z", "2026-10-25T01:30"),
    ):
        assert read(stated, utc("2026-10-25T01:00")) == utc(expected)


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
