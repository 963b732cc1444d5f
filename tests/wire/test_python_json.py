"""Bodies that survive parse and dump in Python, byte for byte, whatever a merchant sent us."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milepost.wire.python_json import dumped

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_parsed_and_dumped_again_it_is_the_same(value: object) -> None:
    body = dumped(value)
    assert body.isascii()
    assert json.dumps(json.loads(body)).encode() == body
    assert json.loads(body) == value


def test_the_form_the_published_signature_is_made_of() -> None:
    assert dumped({"key": "value"}) == b'{"key": "value"}'
    assert dumped({"b": [1, "Zoë 📦"], "a": None}) == (
        b'{"b": [1, "Zo\\u00eb \\ud83d\\udce6"], "a": null}'
    )
    # Six characters that somebody typed are no half of a pair.
    assert dumped("\\ud800") == b'"\\\\ud800"'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800", {"a": ["x\udfff"]}])
def test_what_would_not_survive_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        dumped(value)
