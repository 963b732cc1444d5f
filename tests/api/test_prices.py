"""Prices as they are kept: text that can be read again."""

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.api.test_v3_models import changed, taken

from milepost.api.json_input import MAX_INTEGER


@pytest.mark.parametrize("value", ["12.65", 12.65, 500, "500", 1e3, -3.5, "-3.5", 1e-7])
def test_prices_are_told_as_text(value: Any) -> None:
    document = taken(changed("return_price", {"value": value, "currency": "eur"})).document
    told = document["return_price"]
    assert told["currency"] == "EUR"
    assert float(told["value"]) == float(value)
    assert re.fullmatch(r"-?[\d]+(\.[\d]+)?", told["value"])


@given(st.floats(-MAX_INTEGER, MAX_INTEGER) | st.integers(-MAX_INTEGER, MAX_INTEGER))
@example(0.1 + 0.2)
@example(5e-324)
@example(-1e-17)
def test_a_price_that_is_kept_can_be_sent_again(value: float) -> None:
    """A change judges the whole registration anew, as it is kept."""
    kept = taken(changed("return_price", {"value": value, "currency": "EUR"})).document
    again = taken(changed("return_price", kept["return_price"])).document
    assert again["return_price"] == kept["return_price"]
    assert float(kept["return_price"]["value"]) == pytest.approx(value, abs=1e-16)
