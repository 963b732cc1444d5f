"""Exports of other tools, row by row: what is kept, what it means, what is wrong with a file."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from milepost.carriers.registry import Catalogue
from milepost.cli.import_sheets import begins_with
from milepost.cli.json_rows import Splitter, json_rows
from milepost.errors import ConfigurationError
from milepost.intake.csv_rows import LONGEST_ROW, Counted, text_of
from milepost.movein.cells import columns_of, plain, read_cells
from milepost.movein.exports import READERS
from milepost.movein.foreign import ForeignParcel, ForeignScan
from milepost.movein.history import MOST_SCANS, as_iso, past_of
from milepost.movein.registration import registration_of
from milepost.movein.table import with_tables
from milepost.movein.tools import CODES, NOTICE, tool
from milepost.tracking.status import status_of
from milepost.tracking.vocabulary import Phase

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXPORTS = Path(__file__).parent / "exports"


def documents(name: str, code: str) -> Iterator[ForeignParcel]:
    with (EXPORTS / name).open("rb") as file:
        for row in json_rows(text_of(Counted(file), "utf-8"), tool(code).wrappers):
            yield READERS[code](json.loads(row.cells[0]))


def text(given: bytes) -> io.TextIOWrapper:
    return text_of(Counted(io.BytesIO(given)), "utf-8")


def split(given: str, wrappers: frozenset[str] = frozenset({"trackers"})) -> list[tuple[str, str]]:
    rows = json_rows(text(given.encode()), wrappers)
    return [(row.cells[0], row.problem) for row in rows]


@pytest.mark.parametrize("code", CODES)
def test_tables_speak_our_words(code: str) -> None:
    given, catalogue = tool(code), Catalogue.load()
    assert [ours for ours in given.carriers.values() if catalogue.get(ours) is None] == []
    assert set(given.columns.values()) >= {"number", "carrier", "status"}
    assert any(reading.phase is Phase.DELIVERED for reading in given.readings.values())


def test_most_of_our_carriers_are_known_to_somebody() -> None:
    known = {ours for code in CODES for ours in tool(code).carriers.values()}
    asked = {one.manifest.code for one in Catalogue.load() if one.manifest.tier == "A"}
    assert sorted(asked - known - {"sandbox"}) == []


@pytest.mark.parametrize(
    ("name", "code", "phases"),
    [
        ("aftership.json", "aftership", ["announced", "sorted", "in_delivery", "delivered"]),
        ("easypost.json", "easypost", ["announced", "accepted", "in_delivery", "delivered"]),
        ("17track.json", "17track", ["accepted", "customs"]),
        ("karrio.json", "karrio", ["in_delivery", "none", "delivered"]),
    ],
)
def test_histories_are_read_oldest_first(name: str, code: str, phases: list[str]) -> None:
    parcel = next(documents(name, code))
    past = past_of(parcel, tool(code), "postnl", "Europe/Amsterdam", NOW)
    assert [scan.reading.phase for scan in past.observation.scans] == phases
    assert [scan.position for scan in past.observation.scans] == list(range(len(phases)))
    assert past.is_over is (phases[-1] == "delivered")
    assert past.announced_at <= past.observation.scans[0].moment.instant
    assert not past.observation.complete
    assert past.observation.scans[0].raw_fields["confidence"] == "assumed"


def test_the_documents_tables_are_those_that_are_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "moving-in.md").read_text(encoding="utf-8")
    assert with_tables(page) == page, "python -m milepost.movein.table docs/moving-in.md"


def scan(stated: str, *statuses: str, **more: Any) -> ForeignScan:
    return ForeignScan(stated, statuses, **more)


def past(*scans: ForeignScan, **more: Any) -> Any:
    parcel = ForeignParcel("N1", scans=scans, **more)
    return past_of(parcel, tool("aftership"), "postnl", "Europe/Amsterdam", NOW)


def test_the_tools_own_code_tells_scans_apart_and_else_its_words() -> None:
    at = "2026-02-01T10:00:00"
    told = past(
        scan(at, "InTransit", text="Arrived", raw_code="A1"),
        scan(at, "InTransit", text="Has arrived", raw_code="A1"),
        scan(at, "InTransit", text="Arrived at  DEPOT"),
        scan(at, "InTransit", text="arrived at depot"),
        scan(at, "InTransit", text="Left"),
    )
    classes = [one.scan_class for one in told.observation.scans]
    assert (classes[0], len(set(classes))) == ("import aftership A1", 3)


def test_a_status_nobody_knows_is_a_notice_and_is_told() -> None:
    told = past(
        scan("2026-02-01T10:00:00Z", "InTransit_999", "InTransit"), scan("2026-02-02", "New")
    )
    known, unknown = told.observation.scans
    assert (known.reading.phase, unknown.reading) == (Phase.IN_TRANSIT, NOTICE)
    assert told.remarks == ("no meaning is known of the status New",)


def test_what_has_no_time_or_lies_ahead_is_left_out_and_told() -> None:
    told = past(
        scan("", "InTransit"),
        scan("2026-04-01", "Delivered"),
        scan("2026-02-01 09:00", "InTransit"),
    )
    assert len(told.observation.scans) == 1
    assert len(told.remarks) == 2
    assert not told.is_over
    many = [
        scan(f"2026-02-01T10:{n % 60:02d}:{n // 60:02d}Z", "InTransit")
        for n in range(MOST_SCANS + 7)
    ]
    told = past(*many)
    assert len(told.observation.scans) == MOST_SCANS
    assert told.remarks == ("the 7 oldest events were left out",)


def test_a_parcel_that_is_marked_as_over_is_over() -> None:
    marked = past(
        scan("2026-02-01T10:00:00Z", "InTransit"),
        status=scan("2026-02-03T10:00:00Z", "Delivered"),
    )
    assert (marked.is_over, len(marked.observation.scans)) == (True, 2)
    untimed = past(status=scan("", "Delivered"))
    (only,) = untimed.observation.scans
    assert (untimed.is_over, only.moment.home_minute) == (True, "")
    assert past(status=scan("", "Pending")).observation.scans == ()
    open_still = past(
        scan("2026-02-01T10:00:00Z", "InTransit"), status=scan("2026-02-03", "InTransit")
    )
    assert len(open_still.observation.scans) == 1, "what its scans say already is not said twice"


@pytest.mark.parametrize(
    ("stated", "iso"),
    [
        ("2026/2/5 10:00", "2026-02-05 10:00"),
        ("2026-02-05 10:00:00 +0100", "2026-02-05 10:00:00+0100"),
        ("2026-02-05 10:00:00 UTC", "2026-02-05 10:00:00Z"),
        ("2026-02-05T10:00:00.123Z", "2026-02-05T10:00:00.123Z"),
        ("yesterday", "yesterday"),
    ],
)
def test_times_in_other_spellings(stated: str, iso: str) -> None:
    assert as_iso(stated) == iso


def test_a_registration_has_what_the_export_tells_then_what_is_set_then_nowhere() -> None:
    fixed = {
        "to_address": {"country_code": "BE", "name": "set"},
        "shipment": {"order": {"source_id": "s"}},
    }
    parcel = ForeignParcel("N1", order_number="7", title="7")
    made = registration_of(parcel, "dhl", NOW, fixed)
    assert made["to_address"] == {"country_code": "BE", "name": "set", "postal_code": "-"}
    assert made["from_address"] == {"country_code": "ZZ", "postal_code": "-"}
    assert made["shipment"] == {"order": {"order_number": "7", "source_id": "s"}}


def test_a_first_line_of_another_tool_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"none of EasyPost.*it may be of AfterShip"):
        columns_of(["courier", "Tracking Number"], tool("easypost"))
    with pytest.raises(ConfigurationError, match="none of karrio: expected are its trackers"):
        columns_of(["a", "b"], tool("karrio"))


def test_cells_that_a_spreadsheet_has_made_of_numbers() -> None:
    assert (plain('="0034"'), plain("'=1+1"), plain(" x ")) == ("0034", "=1+1", "x")
    columns = columns_of(["tracking_number", "note"], tool("aftership"))
    assert read_cells(columns, ["N1", "hello"], tool("aftership")).left_out == ("note",)
    with pytest.raises(ConfigurationError, match="rounded"):
        read_cells(columns, ["3.4E+19"], tool("aftership"))


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ('[{"a":1},{"b":"}]"} , 7]', [('{"a":1}', ""), ('{"b":"}]"}', ""), ("7", "not an object")]),
        ('{"a":1}\n\nx\n{"b":2}', [('{"a":1}', ""), ("x", ""), ('{"b":2}', "")]),
        (
            '{"trackers":[{"a":[1]}],"x":{}}{"data":{"trackers":[{"b":2}]}}',
            [('{"a":[1]}', ""), ('{"b":2}', "")],
        ),
        ('{\n"a": 1}\n{"b":\n2}', [('{\n"a": 1}', ""), ('{"b":\n2}', "")]),
        ('{"trackers":[]}', []),
        ("[]", []),
        ('[{"a":1}', [('{"a":1}', ""), ("", "the file breaks off in the middle of this row")]),
        ('[{"a":1}}', [('{"a":1}', ""), ("", "not JSON: } closes nothing")]),
    ],
)
def test_rows_of_json(given: str, rows: list[tuple[str, str]]) -> None:
    assert split(given) == rows


def test_rows_do_not_depend_on_the_pieces_they_come_in() -> None:
    given = (
        '{"m":{"c":2},"data":{"trackers":[{"x\\"]":[{"y":1}]}, 5,{"z":2}]}}{"trackers":[{"w":1}]}'
    )
    splitter = Splitter({"trackers"})
    found: list[tuple[str, str]] = []
    for character in given:
        found += splitter.feed(character)
    assert found == split(given)
    assert not splitter.is_open


def test_a_row_without_end_is_not_held() -> None:
    endless = text(b'[{"a":"' + b"x" * (3 * LONGEST_ROW))
    (only,) = json_rows(endless, set())
    assert "longer than" in only.problem


@pytest.mark.parametrize(
    ("given", "told"),
    [(b"PK\x03\x04..", "Excel"), (b"\x1f\x8b..", "gzip"), (b" <html>", "HTML"), (b"%PDF-1", "PDF")],
)
def test_another_kind_of_file_is_told(given: bytes, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        begins_with(text(given))


def test_marks_and_encodings_are_no_hindrance() -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert begins_with(text(' [{"a":1}]'.encode(encoding))) == "["
    assert [row.cells[0] for row in json_rows(text('[{"a":"é"}]'.encode("utf-16")), set())] == [
        '{"a":"é"}'
    ]


def test_rows_of_any_other_make_are_no_fault() -> None:
    odd: list[Any] = [None, 7, "x", [], {}, {"data": 7}, [None], True]
    for code in CODES:
        for name in (
            "checkpoints",
            "tracking_details",
            "events",
            "track_info",
            "info",
            "customers",
        ):
            for value in odd:
                row = {"tracking_number": value, "number": value, name: value, "carrier": value}
                parcel = READERS[code](row)
                past_of(parcel, tool(code), "dhl", "UTC", NOW)


@pytest.mark.parametrize("code", CODES)
def test_no_status_with_a_meaning_makes_a_parcel_without_a_label(code: str) -> None:
    readings = tool(code).readings
    shown = {status for status, one in readings.items() if status_of(one) == "NO_LABEL"}
    assert shown == {status for status, one in readings.items() if one == NOTICE}
