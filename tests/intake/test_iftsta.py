"""IFTSTA as carriers send it: each status a row, and what is broken costs itself alone."""

import pytest
from tests.intake.iftsta_files import all_rows, file, interchange, message, one, status


def test_a_status_with_all_it_may_bear() -> None:
    body = [
        "DTM+137:202601050900:203",
        "NAD+CZ+++Shop Ltd",
        "CNI+1+CONS001",
        "RFF+AAS:WB77",
        "STS+1+21:::Zugestellt ?'an der Tür?'+13",
        "RFF+CN:3SABC1",
        "RFF+CU:order-1",
        "DTM+334:202601050830:203",
        "DTM+17:20260105:102",
        "LOC+7+DEHAM:139:6:Hamburg",
        "GIN+BJ+00340434161094015902+00340434161094015919",
    ]
    found, ended = all_rows(file(interchange(message(*body))))
    assert not ended
    whole = ("3SABC1", "WB77", "CONS001")
    assert [row.numbers for row in found] == [
        ("00340434161094015902", *whole),
        ("00340434161094015919", *whole),
    ]
    telling = found[0].telling
    assert telling is not None
    assert telling.estimate is not None
    scan = telling.scan
    assert (scan.raw_code, scan.reading.phase) == ("IFTSTA 21+13", "delivered")
    assert scan.raw_text == "Zugestellt 'an der Tür'"
    assert (scan.place.city, scan.place.country_code) == ("Hamburg", "DE")
    assert scan.moment.instant.isoformat() == "2026-01-05T07:30:00+00:00"
    assert (scan.moment.zone, scan.moment.zone_source) == ("Europe/Berlin", "place")
    assert str(telling.estimate.day) == "2026-01-05"
    fields = {"form": "IFTSTA", "category": "1", "status": "21", "reason": "13", "release": "01B"}
    assert scan.raw_fields == fields


@pytest.mark.parametrize(
    ("charset", "encoding", "shown"),
    [
        ("UNOC", "latin-1", "Tür"),
        ("UNOY", "utf-8", "Tür"),
        ("UNOL", "iso8859-15", "Tür"),
        # Who says ASCII and sends more loses that, and not the status.
        ("UNOA", "latin-1", "T�r"),
    ],
)
def test_the_character_set_is_that_of_the_interchange(
    charset: str, encoding: str, shown: str
) -> None:
    body = [*status(), "FTX+AAI+++Tür"]
    row = one(file(interchange(message(*body), charset=charset), encoding))
    assert row.telling is not None
    assert row.telling.scan.raw_text == shown


def test_an_unknown_character_set_is_said() -> None:
    found, ended = all_rows(file(interchange(message(*status()), charset="UNOX")))
    assert (found, ended) == ([], "line 1: the character set 'UNOX' of UNB is not read")


def test_separators_are_those_of_una_and_lines_may_be_wrapped() -> None:
    parts = interchange(message(*status(), "FTX+AAI+++a?+b:c"))
    told = "|".join(parts).replace("+", "^").replace("?^", "!+").replace(":", "#") + "|"
    wrapped = "\r\n".join(told[at : at + 35] for at in range(0, len(told), 35))
    row = one(f"UNA#^.! |\r\n{wrapped}\r\n".encode())
    assert row.numbers == ("A1",)
    assert row.telling is not None
    assert row.telling.scan.raw_text == "a+b c"


def test_a_blank_release_character_releases_nothing() -> None:
    data = b"UNA:+.  '" + file(interchange(message(*status(), "FTX+AAI+++who? me")))
    row = one(data)
    assert row.telling is not None
    assert row.telling.scan.raw_text == "who? me"


def test_una_inside_a_text_is_a_text() -> None:
    row = one(file(interchange(message(*status(), "FTX+AAI+++?'UNA!!!!!!"))))
    assert row.telling is not None
    assert row.telling.scan.raw_text == "'UNA!!!!!!"


@pytest.mark.parametrize("una", [b"UNA::.? '", b"UNAab.? '", b"UNA\0+.? '", b"UNA:+"])
def test_separators_that_are_none(una: bytes) -> None:
    found, ended = all_rows(una + file(interchange(message(*status()))))
    assert not found
    assert "UNA" in ended


def test_several_messages_and_interchanges_in_one_file() -> None:
    first = interchange(
        message(*status("13", number="A1"), *status("31", number="B2")),
        message(*status("21", number="A1"), reference="2"),
    )
    second = interchange(message(*status("21", number="C3")), charset="UNOY")
    found, ended = all_rows(file(first) + b"\r\nUNA:+.? '\r\n" + file(second, "utf-8"))
    assert not ended
    assert [row.numbers for row in found] == [("A1",), ("B2",), ("A1",), ("C3",)]


def test_cut_off_in_the_middle_the_whole_messages_stand() -> None:
    whole = message(*status(number="A1"))
    half = message(*status(number="B2"), *status(number="C3"), reference="2")
    data = file(interchange(whole, half))
    # Wherever it is cut, the first message is told and nothing of the second is.
    for end in (data.index(b"B2"), data.index(b"C3") + 10, data.rindex(b"UNT") + 2):
        found, ended = all_rows(data[:end])
        assert [row.numbers for row in found if row.telling] == [("A1",)], end
        assert [row.problem for row in found if not row.telling] == [
            "the message has no end, or was cut off"
        ]
        assert "cut off" in ended
    # Behind the end of the second, only the interchange's is missing.
    found, ended = all_rows(data[: data.rindex(b"UNZ")])
    assert len([row for row in found if row.telling]) == 3
    assert ended.endswith("the interchange has no end (UNZ): cut off")


def test_a_message_that_lost_a_segment_tells_nothing() -> None:
    """The one that is lost may be the one that says whose the next status is."""
    parts = interchange(message(*status(number="A1"), *status(number="B2")))
    parts.remove("CNI+1+B2")
    found, ended = all_rows(file(parts))
    assert not ended
    assert [(row.telling, row.problem) for row in found] == [
        (None, "the message has another number of segments than it says")
    ]


def test_fewer_messages_than_the_interchange_says() -> None:
    parts = interchange(message(*status()))
    parts[-1] = "UNZ+2+REF"
    found, ended = all_rows(file(parts))
    assert len(found) == 1
    assert "fewer messages than it says" in ended


def test_another_message_is_listed() -> None:
    other = ["UNH+2+ORDERS:D:96A:UN", "BGM+220+1", "UNT+3+2"]
    found, _ = all_rows(file(interchange(message(*status()), other)))
    assert [row.problem for row in found] == ["", "not an IFTSTA message"]


@pytest.mark.parametrize(
    ("dtm", "instant"),
    [
        ("DTM+334:202601050830:203", "2026-01-05T08:30:00+00:00"),
        ("DTM+334:20260105083015:204", "2026-01-05T08:30:15+00:00"),
        ("DTM+78:2601050830:201", "2026-01-05T08:30:00+00:00"),
        ("DTM+78:260105083015:202", "2026-01-05T08:30:15+00:00"),
        ("DTM+35:20260105:102", "2026-01-05T23:59:59+00:00"),
        ("DTM+334:202601050830?+0100:205", "2026-01-05T07:30:00+00:00"),
        ("DTM+334:202601050830CET:303", "2026-01-05T07:30:00+00:00"),
        ("DTM+334:202601050830UTC:303", "2026-01-05T08:30:00+00:00"),
        ("DTM+334:202601050830", "2026-01-05T08:30:00+00:00"),
    ],
)
def test_times_in_the_forms_of_2379(dtm: str, instant: str) -> None:
    row = one(file(interchange(message("CNI+1+A1", "STS+1+21", dtm))))
    assert row.telling is not None, row.problem
    assert row.telling.scan.moment.instant.isoformat() == instant


@pytest.mark.parametrize(
    ("dtm", "why"),
    [
        ("DTM+334:20260105:203", "not as long as its form"),
        ("DTM+334:202613050830:203", "not a time"),
        ("DTM+334:202601050830XYZ:303", "zone that is not known"),
        ("DTM+334:5:803", "no time that is read"),
        ("DTM+17:202601050830:203", "no time of the status"),
    ],
)
def test_a_time_that_is_none_costs_the_status_alone(dtm: str, why: str) -> None:
    body = ["CNI+1+A1", "STS+1+21", dtm, *status(number="B2")]
    bad, good = all_rows(file(interchange(message(*body))))[0]
    assert why in bad.problem
    assert (bad.number, good.number, good.problem) == ("A1", "B2", "")


def test_who_cannot_be_read_is_not_whoever_was_before() -> None:
    body = [*status(number="A1"), "CNI+2+B\0", "STS+1+21", "DTM+334:202601050830:203"]
    body += status(number="C3")
    found, _ = all_rows(file(interchange(message(*body))))
    assert [(row.number, bool(row.problem)) for row in found] == [
        ("A1", False),
        ("A1", True),
        ("C3", False),
    ]
