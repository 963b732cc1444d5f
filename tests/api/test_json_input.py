"""Every oddity of JSON has one decided answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.api.json_input import MAX_INTEGER, JsonLimits, read_json
from milepost.errors import InvalidInput

LIMITS = JsonLimits()


def refusal(body: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read_json(body, LIMITS)
    return caught.value


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        (b"", "missing", ("body",)),
        (b" \n", "missing", ("body",)),
        (b"{", "json_invalid", ("body", 1)),
        (b"{'a':1}", "json_invalid", ("body", 1)),
        (b'{"a":1} x', "json_invalid", ("body", 8)),
        (b'"\xff"', "json_invalid", ("body", 1)),
        (b'{"a":"\x01"}', "json_invalid", ("body", 6)),
        (b'{"a":NaN}', "json_invalid", ("body", "a")),
        (b'{"a":[-Infinity]}', "json_invalid", ("body", "a", 0)),
        (b'{"a":1e400}', "number_range", ("body", "a")),
        (b'{"a":-1e16}', "number_range", ("body", "a")),
        (b'{"a":{"b":1,"b":1}}', "json_invalid", ("body", "a", "b")),
        (b'{"a":1,"\\u0061":1}', "json_invalid", ("body", "a")),
        (b'{"a":1234567890123456789012345}', "int_parsing_size", ("body", "a")),
        (b'{"a":-' + b"9" * 5000 + b"}", "int_parsing_size", ("body", "a")),
        (b'{"a":9007199254740992}', "int_parsing_size", ("body", "a")),
        (b'{"a":"x\\u0000"}', "string_unicode", ("body", "a")),
        (b'{"a":"\\ud800"}', "string_unicode", ("body", "a")),
        (b'{"\\udfff":1}', "string_unicode", ("body",)),
        (b'{"\\ud800":1,"\\ud800":1}', "json_invalid", ("body",)),
        (b"[" * 33 + b"]" * 33, "json_invalid", ("body",)),
        (b"[" * 200_000, "json_invalid", ("body",)),
        (b'{"a":"' + b"x" * 65537 + b'"}', "string_too_long", ("body", "a")),
        ('{"a":"' + "€" * 21846 + '"}', "string_too_long", ("body", "a")),
        (json.dumps(dict.fromkeys(map(str, range(1001)))), "too_long", ("body",)),
    ],
)
def test_refused_with_the_field(body: bytes | str, kind: str, field: tuple[str | int, ...]) -> None:
    error = refusal(body.encode() if isinstance(body, str) else body)
    assert (error.kind, error.field) == (kind, field)
    assert error.message


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 32 + b"]" * 32,
        b'{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        b'{"a":"\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        b'{"a":9007199254740991,"b":-9007199254740991}',
        b'{"a":"' + b"x" * 65536 + b'"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\\ud83d\\ude00"}',
        json.dumps(dict.fromkeys(map(str, range(1000)))).encode(),
    ],
)
def test_taken(body: bytes) -> None:
    assert read_json(body, LIMITS) == json.loads(body)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(-MAX_INTEGER, MAX_INTEGER)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), inner
        )
    ),
    max_leaves=20,
)


@given(_values)
def test_what_is_sound_comes_back_as_it_is(value: Any) -> None:
    assert read_json(json.dumps(value).encode(), LIMITS) == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0d8ef19-.eNaInfty ').map(str.encode))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    try:
        read_json(body, LIMITS)
    except InvalidInput as error:
        json.dumps(error.field).encode()
        str(error.field).encode()
