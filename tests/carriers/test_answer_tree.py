"""Reading JSON with care."""

import orjson
import pytest

from milepost.carriers.answer_tree import LONGEST_LIST, clean_text, read_json
from milepost.errors import CarrierParseError


def test_text_is_one_printable_line() -> None:
    assert clean_text("a\x00b\r\n\tc\u202e d\u200b") == "a b c d"
    assert len(clean_text("x" * 100_000)) == 1000


def test_missing_and_null_are_alike() -> None:
    tree = read_json(b'{"a": null, "n": 5}')
    assert tree.text("a", "b", "c") == tree.text("x") == ""
    assert tree.text("n") == "5"
    assert list(tree.items("a")) == []
    assert tree.flag("a") is False


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"a": [1]}', "answer.a"),
        (b'{"a": true}', "answer.a"),
        (b'{"a": 1.5}', "answer.a"),
        (b'{"a": 123456789012345678901234567890}', "answer.a"),
        (b"[1]", "answer"),
        (b'"x"', "answer"),
    ],
)
def test_another_form_is_an_error_that_says_where(body: bytes, path: str) -> None:
    with pytest.raises(CarrierParseError, match=f"^{path} is not"):
        read_json(body).text("a")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": NaN}', b"[" * 5000, b'"\\ud800"'])
def test_no_json_is_an_error(body: bytes) -> None:
    with pytest.raises(CarrierParseError):
        read_json(body)


def test_lists_have_an_end() -> None:
    body = orjson.dumps({"a": [0] * (LONGEST_LIST + 1)})
    with pytest.raises(CarrierParseError):
        list(read_json(body).items("a"))
    (alone,) = read_json(b'{"a": {"b": 1}}').items("a")
    assert alone.text("b") == "1"


def test_a_value_is_written_by_itself_and_too_deep_a_one_is_an_error() -> None:
    tree = read_json(b'{"a": {"b": [1, "\xc3\xa9", null]}}').child("a")
    assert orjson.loads(tree.as_json()) == {"b": [1, "é", None]}
    with pytest.raises(CarrierParseError, match=r"answer\.a is nested too deep"):
        read_json(b'{"a": %s}' % (b"[" * 600 + b"]" * 600)).child("a").as_json()
