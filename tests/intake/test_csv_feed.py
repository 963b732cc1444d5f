"""CSV files of carriers: found headings, decided encodings, and a broken row costs itself alone."""

import codecs
import dataclasses
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milepost.carriers.file_form import FileForm
from milepost.carriers.registry import Catalogue
from milepost.errors import FileUnreadable
from milepost.intake.files import read_file
from milepost.intake.told_rows import FileRow, Sender, one_telling

MOST = 10_000_000
SENDER = Sender("slowpost")
DHL = Sender("dhl", Catalogue.load().get("dhl").manifest)  # type: ignore[union-attr]


def rows(data: bytes | str, sender: Sender = SENDER, encoding: str = "") -> list[FileRow]:
    given = data.encode() if isinstance(data, str) else data
    return list(read_file(io.BytesIO(given), sender, most_bytes=MOST, encoding=encoding))


def one(data: bytes | str, sender: Sender = SENDER, encoding: str = "") -> FileRow:
    (row,) = rows(data, sender, encoding)
    return row


def test_the_carriers_own_map_reads_its_codes() -> None:
    row = one(
        "tracking_number,code,text,time\n00340434161094015902,delivered,Done,2026-01-05T09:00", DHL
    )
    assert row.telling is not None
    assert row.telling.scan.reading.phase == "delivered"
    assert row.telling.scan.moment.instant.isoformat() == "2026-01-05T08:00:00+00:00"


def test_our_own_words_read_a_carrier_we_have_no_folder_of() -> None:
    row = one("number;time;phase;exception\nA1;2026-01-05T09:00Z;Attempted;refused\n")
    assert row.telling is not None
    scan = row.telling.scan
    assert (scan.reading.phase, scan.reading.exception) == ("attempted", "refused")
    assert (scan.reading.status_type, scan.scan_class) == ("warning", "attempted:refused:none")


def test_a_rule_of_the_carrier_goes_before_our_own_words() -> None:
    header = "tracking_number,code,time,phase\n"
    known = one(f"{header}1,delivered,2026-01-05T09:00,sorted", DHL).telling
    new = one(f"{header}1,brand-new,2026-01-05T09:00,sorted", DHL).telling
    assert known is not None
    assert new is not None
    assert (known.scan.reading.phase, new.scan.reading.phase) == ("delivered", "sorted")


def test_headings_separator_and_times_of_the_manifest() -> None:
    form = FileForm(
        columns={"tracking_number": "Paket Nr.", "code": "Status", "event_date": "Datum"},
        time_form="%d.%m.%Y %H:%M",
    )
    manifest = DHL.manifest
    assert manifest is not None
    sender = Sender("dhl", dataclasses.replace(manifest, files=form))
    data = "Datum;Time;Paket Nr.;Status;Filiale, Ort\n05.01.2026;09:00;77;delivered;Köln, Süd\n"
    row = one(data, sender)
    assert row.telling is not None, row.problem
    assert row.numbers == ("77",)
    moment = row.telling.scan.moment
    assert (moment.stated, moment.home_minute) == ("05.01.2026 09:00", "2026-01-05T09:00")


@pytest.mark.parametrize(
    ("data", "city"),
    [
        ("Köln".encode(), "Köln"),
        ("Köln".encode("cp1252"), "Köln"),
        ("Łódź".encode(), "Łódź"),
        ("€".encode("cp1252"), "€"),
    ],
)
def test_utf_8_where_all_of_it_is_that_and_cp1252_where_not(data: bytes, city: str) -> None:
    row = one(b"number;time;code;city\n1;2026-01-05;X;" + data)
    assert row.telling is not None
    assert row.telling.scan.place.city == city


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_a_byte_order_mark_overrules_everybody(mark: bytes, encoding: str) -> None:
    text = "number\ttime\tcode\tcity\n1\t2026-01-05\tX\tKöln"
    row = one(mark + text.encode(encoding), encoding="latin-1")
    assert row.telling is not None
    assert row.telling.scan.place.city == "Köln"


def test_who_says_an_encoding_is_believed_and_bytes_beyond_it_cost_their_row() -> None:
    data = "number,time,code,city\n1,2026-01-05,X,Köln\n2,2026-01-05,X,Ulm".encode("latin-1")
    bad, good = rows(data, encoding="utf-8")
    assert bad.problem == "city: bytes that are not of the file's encoding"
    assert good.telling is not None


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1,2026-01-05,", "it says nothing: neither code nor text nor phase"),
        (",2026-01-05,X", "tracking_number: it says of no parcel"),
        ("1,,X", "event_at: no time is told"),
        ("1,yesterday,X", "not a time: 'yesterday'"),
        ("1,2026-02-30,X", "not a time: '2026-02-30'"),
        ("1\0,2026-01-05,X", "tracking_number: has a NUL"),
        ("1,2026-01-05," + "X" * 256, "code: longer than 255 characters"),
        ('1,"2026-01-05"x,', "not CSV: "),
        (
            "1,2026-01-05,X,,,,delivred",
            "phase: 'delivred' is none of its words; is delivered meant?",
        ),
        ("1,2026-01-05,X,,,,,soon", "expected_delivery_date: not a day: 'soon'"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_row_that_is_refused_costs_itself_alone(row: str, problem: str, end: str) -> None:
    header = "number,time,code,text,city,country,phase,expected_delivery_date"
    bad, good = rows(end.join((header, row, "2,2026-01-05,X")))
    assert bad.line == 2
    assert bad.problem.startswith(problem)
    assert (good.line, good.number) == (3, "2")


def test_cells_that_spreadsheets_made() -> None:
    first, second = rows("number,time,text\n=\"00123\",2026-01-05,'=1+1\n'-77,2026-01-05,-x\n")
    assert (first.numbers, second.numbers) == (("00123",), ("-77",))
    assert first.telling is not None
    assert first.telling.scan.raw_text == "=1+1"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"a,b,c\n1,2,3", "names no column tracking_number"),
        (b"tracking_nr,time,code\n", "is 'tracking_nr' meant?"),
        (b"number,code\n", "names no column event_at or event_date"),
        (b"number,time\n", "names no column code, text or phase"),
        (b"number,number,time,code\n", "names tracking_number twice"),
        (b"PK\x03\x04" + b"\0" * 100, "it is ZIP, and nothing is unpacked here"),
        (b"\x1f\x8b\x08", "it is gzip"),
        (b"\0" * 5000, "tracking_number"),
        (b"{}", "names no column tracking_number"),
        (b'"number', "not CSV"),
    ],
)
def test_a_file_that_is_none(data: bytes, why: str) -> None:
    with pytest.raises(FileUnreadable, match=why.replace("?", r"\?")):
        rows(data)


def test_a_file_may_be_too_large() -> None:
    with pytest.raises(FileUnreadable, match="it has 20 bytes, and 19 is the most"):
        read_file(io.BytesIO(b"x" * 20), SENDER, most_bytes=19)


def test_rows_of_one_parcel_are_one_telling_in_the_order_of_their_times() -> None:
    header = "number,time,code,expected_delivery_date,signed_by"
    told = rows(
        f"{header}\n1,2026-01-07T09:00,C,,\n1,2026-01-05T09:00,A,2026-01-09,\n"
        "1,2026-01-06T09:00,B,2026-01-08,Ann\n"
    )
    found = one_telling(row.telling for row in told if row.telling)
    assert [(scan.raw_code, scan.position) for scan in found.scans] == [
        ("A", 0),
        ("B", 1),
        ("C", 2),
    ]
    assert not found.complete
    assert found.estimate is not None
    assert str(found.estimate.day) == "2026-01-08"
    assert found.signed_by == "Ann"


def test_the_hour_that_autumn_shows_twice_is_told_apart_by_what_comes_before() -> None:
    header = "number,time,code"
    told = rows(f"{header}\n1,2026-10-25T02:50,A\n1,2026-10-25T02:10,B\n1,2026-10-25T02:05,C", DHL)
    found = one_telling(row.telling for row in told if row.telling)
    instants = [scan.moment.instant for scan in found.scans]
    assert instants == sorted(instants)


HEADER = b"number,time,code,text,city,country,phase,date,expected_delivery_date\n"
CELLS = st.sampled_from(
    [
        b"1",
        b"2026-01-05",
        b"09:00",
        b"X",
        b'"',
        b",",
        b"\n",
        b"\r",
        b"\x00",
        b"\xff",
        b"=",
        b"delivered",
        b"none",
        b"NL",
        "\u2028".encode(),
        b"9999-12-31T23:59",
        b"0001-01-01",
        b"'",
        b";",
        b"\xef\xbb\xbf",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.binary(max_size=300), st.lists(CELLS, max_size=60).map(b"".join)),
    st.sampled_from(["", "utf-8", "utf-16", "utf-7", "cp1252"]),
)
def test_any_bytes_are_rows_or_the_one_error(data: bytes, encoding: str) -> None:
    for start in (b"", HEADER, b"\xff\xfe", b"sep=\n", b"sep=;\n" + HEADER.replace(b",", b";")):
        try:
            for row in read_file(
                io.BytesIO(start + data), SENDER, most_bytes=MOST, encoding=encoding
            ):
                assert (row.telling is None) == bool(row.problem)
                if row.telling is not None:
                    one_telling([row.telling])
        except FileUnreadable:
            pass
