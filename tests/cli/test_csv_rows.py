"""Rows of CSV files as people send them; a broken row costs itself alone, and has its line."""

import asyncio
import io
from collections.abc import Sequence
from typing import Any

import pytest

from milepost.api.unnamed_carriers import Named
from milepost.api.v3_models import read_registration
from milepost.cli.import_columns import COLUMNS, read_header, read_row
from milepost.errors import ConfigurationError
from milepost.intake.csv_rows import LONGEST_ROW, Counted, rows_of, separator_in, text_of
from milepost.tracking.parcel import Registration
from milepost.wire.spreadsheet import guarded, unguarded


def read(data: bytes, separator: str = ",", encoding: str = "utf-8") -> list[tuple[int, object]]:
    text = text_of(Counted(io.BytesIO(data)), encoding)
    return [(row.line, row.problem or row.cells) for row in rows_of(text, separator, "")]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"a,b\n1,2\n", [(1, ("a", "b")), (2, ("1", "2"))]),
        (b"a,b\r\n1,2\r\n", [(1, ("a", "b")), (2, ("1", "2"))]),
        (b"a,b\r1,2\r", [(1, ("a", "b")), (2, ("1", "2"))]),
        (b"\xef\xbb\xbfa\n\n  \n", [(1, ("a",)), (3, ("  ",))]),
        ("ä\n".encode("utf-16"), [(1, ("ä",))]),
        (b'"a\nb",c\nd,e\n', [(1, ("a\nb", "c")), (3, ("d", "e"))]),
        (b'"say ""hi""",c', [(1, ('say "hi"', "c"))]),
        (b"a\x00b,c\n", [(1, ("a\x00b", "c"))]),
    ],
)
def test_files_as_they_come(data: bytes, rows: object) -> None:
    assert read(data) == rows


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (b'"x"y,2', "not CSV: ',' expected"),
        (b'"open\nstays,so', "not CSV: unexpected end"),
        (b'"' + (b"x" * 1023 + b"\n") * 1030 + b"x", "not CSV: a row is longer"),
        (b"x" * (3 * LONGEST_ROW), "not CSV: a row is longer"),
    ],
)
def test_a_broken_row_costs_itself_alone(broken: bytes, told: str) -> None:
    rows = read(b"a,b\n" + broken + b"\nc,d\n")
    assert rows[0] == (1, ("a", "b"))
    assert rows[1][0] == 2
    assert str(rows[1][1]).startswith(told)
    lines = broken.count(b"\n")
    assert rows[-1] == (3 + lines, ("c", "d"))
    assert len(rows) == 3 + lines


def test_the_separator_is_what_the_first_line_has_most_of() -> None:
    assert [separator_in(line) for line in ("a;b,c;d", "a\tb", "a,b")] == [";", "\t", ","]


# Columns ----------------------------------------------------------------------------------------

HEADER = (
    *("tracking_number", "carrier_code", "announced_at", "source_id"),
    *(f"{side}_{part}" for side in ("from", "to") for part in ("postal_code", "country_code")),
)
GOOD = ("AB 12", "slowpost", "2026-01-05T09:00:00Z", "order-1", "5611EM", "NL", "10115", "de")


async def as_it_is(given: Any) -> Named:
    """No row here leaves its carrier to be recognised."""
    return Named(given)


def row_of(**more: str) -> Registration | str:
    cells = dict(zip(HEADER, GOOD, strict=True)) | more
    columns = read_header(list(cells), others=False)
    return asyncio.run(read_row(columns, list(cells.values()), {}, as_it_is))


def test_a_row_is_the_registration_that_json_would_be() -> None:
    read = row_of(
        to_name="=Eve",
        weight="1.5",
        weight_unit="kg",
        is_return="Yes",
        contract_id="12",
        order_number="7",
        parcel_items='[{"description": "Mug", "weight": {"value": 1, "unit": "kg"},'
        ' "price": {"value": "3.00", "currency": "EUR"}}]',
    )
    by_json = read_registration(
        {
            "announced_at": "2026-01-05T09:00:00Z",
            "source_id": "order-1",
            "from_address": {"postal_code": "5611EM", "country_code": "NL"},
            "to_address": {"postal_code": "10115", "country_code": "DE", "name": "=Eve"},
            "ship_with": {"type": "contract", "properties": {"contract_id": 12}},
            "tracking_number": {"carrier_code": "slowpost", "tracking_number": "AB 12"},
            "details": {"is_return": True},
            "measurements": {"weight": {"value": 1.5, "unit": "kg"}},
            "shipment": {"order": {"order_number": "7"}},
            "parcel_items": [
                {
                    "description": "Mug",
                    "weight": {"value": 1, "unit": "kg"},
                    "price": {"value": "3.00", "currency": "EUR"},
                }
            ],
        }
    )
    assert read == by_json


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"to_postal_code": ""}, "to_postal_code: Field required"),
        ({"weight": "1,5", "weight_unit": "kg"}, "weight: Input should be a number"),
        ({"announced_at": "5 Jan"}, "announced_at: Not an ISO 8601"),
        ({"to_city": "Ber\x00lin"}, "to_city: Text has a NUL"),
        ({"to_city": "K\udcf6ln"}, "to_city: bytes that are not of the file's encoding"),
        ({"to_city": "x" * 70_000}, "to_city: Text is over 65536 bytes"),
        ({"tracking_number": "A\u202eB"}, "tracking_number: A tracking number has 1 to 255"),
        ({"parcel_items": "[{]"}, "parcel_items.2: JSON decode error"),
        ({"parcel_items": '[{"description": ""}]'}, "parcel_items.0.description: String should"),
        ({"is_return": "perhaps"}, "is_return: Input should be a valid boolean"),
        ({"source_id": "s" * 256}, "source_id: String should have at most 255"),
    ],
)
def test_a_refusal_names_the_column(more: dict[str, str], told: str) -> None:
    read = row_of(**more)
    assert isinstance(read, str)
    assert read.startswith(told)


def test_a_row_with_more_cells_than_the_first_line_is_refused() -> None:
    columns = read_header(HEADER, others=False)
    refused = asyncio.run(read_row(columns, (*GOOD, "", "extra"), {}, as_it_is))
    assert refused == "the row has 10 cells, the first line has 8"
    taken = asyncio.run(read_row(columns, (*GOOD, "", ""), {}, as_it_is))
    assert isinstance(taken, Registration)


def test_fixed_values_stand_in() -> None:
    columns = read_header(HEADER, others=False)
    fixed = {"carrier_code": "other", "to_city": "X"}
    read = asyncio.run(read_row(columns, ("AB 12", "", *GOOD[2:]), fixed, as_it_is))
    assert isinstance(read, Registration)
    assert (read.carrier_code, read.document["to_address"]["city"]) == ("other", "X")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (("number", "carrier_code"), "names no column tracking_number"),
        (("tracking_number", "Tracking Number"), "names tracking_number twice"),
        (("tracking_number", "to_postalcode"), "is to_postal_code meant"),
        (("tracking_number", "colour of the van"), "--other-columns leaves it out"),
    ],
)
def test_a_header_nobody_understands(header: Sequence[str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read_header(header, others=False)
    if "colour" in header[1]:
        assert read_header(header, others=True)[1] is None


def test_every_column_reaches_the_registration() -> None:
    """A typing error in a path would be dropped in silence, for unknown keys are."""
    odd = {"parcel_items": "[]", "expected_delivery_date": "2026-01-09", "is_return": "no"}
    units = {"weight_unit": "kg", "dimension_unit": "cm", "tracking_url": "https://a.example/"}
    currencies = {"insured_currency": "EUR", "order_currency": "EUR"}
    good = dict(zip(HEADER, GOOD, strict=True)) | odd | units | currencies
    cells = {
        name: good.get(name, "yes" if c.kind == "yes_no" else "7") for name, c in COLUMNS.items()
    }
    read = row_of(**cells)
    assert isinstance(read, Registration), read
    for column in COLUMNS.values():
        place = {**read.document, "announced_at": "", "source_id": ""}
        for step in column.path:
            assert step in place, column.name
            place = place[step]


# Spreadsheets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", list("=+-@\t\r\n＝＋－＠"))
def test_what_a_spreadsheet_would_run_becomes_text_and_comes_back(first: str) -> None:
    assert guarded(f"{first}1") == f"'{first}1"
    assert unguarded(guarded(f"{first}1")) == f"{first}1"


def test_other_text_stays() -> None:
    assert [guarded(text) for text in ("", "1-2", "'s", "Ab")] == ["", "1-2", "'s", "Ab"]
    assert guarded("\x00=1") == "'\ufffd=1"
    assert [unguarded(text) for text in ("'s", "'", "")] == ["'s", "'", ""]
