"""Rows out of a body that is still coming in."""

import pytest

from milepost.api.row_stream import RowSplitter
from milepost.errors import InvalidInput


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_rows_come_out_whole_however_they_come_in(size: int) -> None:
    rows = [b'{"a": "]},\\"["}', b"[1, [2], {}]", b'"x"', b"5", b"null", b'""']
    for whole in (b"[" + b" , ".join(rows) + b"]\n", b"\n\n".join(rows)):
        splitter = RowSplitter(100, as_array=whole.startswith(b"[{"))
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        found = [one for piece in pieces for one in splitter.feed(piece)]
        assert [*found, *splitter.end()] == rows


@pytest.mark.parametrize("as_array", [True, False])
def test_blanks_before_the_rows_are_not_kept(as_array: bool) -> None:
    splitter = RowSplitter(100, as_array=as_array)
    for _ in range(1000):
        assert list(splitter.feed(b" \n" * 500)) == []
        assert not splitter._buffer
    assert [*splitter.feed(b"[5]" if as_array else b"5"), *splitter.end()] == [b"5"]


def test_a_row_that_never_ends_is_not_kept() -> None:
    splitter = RowSplitter(100, as_array=True)
    assert list(splitter.feed(b'["' + b"x" * 90)) == []
    with pytest.raises(InvalidInput):
        list(splitter.feed(b"x" * 20))
