"""Whatever stands in a file for EDIFACT: rows, or the one error; and our cutting is pydifact's."""

import io

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.intake.iftsta_files import (
    all_rows,
    file,
    interchange,
    message,
    status,
)

from milepost.intake.edifact import LONGEST_SEGMENT, segments


def test_a_segment_without_end_ends_the_file() -> None:
    data = file(interchange(message(*status()))) + b"UNB+" + b"x" * (LONGEST_SEGMENT + 1)
    found, ended = all_rows(data)
    assert len(found) == 1
    assert "longer than" in ended


PIECES = st.sampled_from(
    [
        b"UNA:+.? '",
        b"UNB+UNOC:3'",
        b"UNH+1+IFTSTA:D:01B:UN'",
        b"CNI+1+A1'",
        b"STS+1+21'",
        b"DTM+334:202601050830:203'",
        b"GIN+BJ+1+2'",
        b"UNT+5+1'",
        b"UNZ+1+R'",
        b"?",
        b"'",
        b"+",
        b":",
        b"\r\n",
        b"\x00",
        b"\xff",
        b"LOC+7+NLAMS'",
        b"RFF+CN:1'",
        b"FTX+++",
        b"UNT+'",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=40).map(b"".join)))
def test_any_bytes_are_rows_or_the_one_error(data: bytes) -> None:
    for start in (b"", b"UNA:+.? '", b"UNB+UNOY:4'UNH+1+IFTSTA:D:96A:UN'"):
        found, _ = all_rows(start + data)
        for row in found:
            assert (row.telling is None) == bool(row.problem)
            assert row.telling is None or row.numbers


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=20).filter(lambda text: "\0" not in text), max_size=8))
def test_whatever_is_released_comes_back(texts: list[str]) -> None:
    def released(text: str) -> str:
        return "".join(f"?{one}" if one in "?'+:" else one for one in text)

    data = "".join(f"FTX+{released(text)}'" for text in texts).encode()
    read = [raw.read() for raw in segments(io.BytesIO(b"UNB+UNOY:4'" + data))][1:]
    wanted = [text.replace("\r", "").replace("\n", "").strip() for text in texts]
    assert [segment.text(0) for segment in read] == wanted


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="?'\0\r\n"), max_size=40))
def test_what_releases_nothing_is_read_as_what_does(text: str) -> None:
    """One is taken apart here, the other by pydifact."""
    both = f"UNB+UNOY:4'FTX+{text}+x'FTX+{text}+x+??'".encode()
    plain, released = [raw.read() for raw in segments(io.BytesIO(both))][1:]
    for element in range(45):
        for component in range(45):
            wanted = released.text(element, component)
            if wanted != "?":
                assert plain.text(element, component) == wanted
