"""Prices as they are kept: text that can be read again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.api.test_v3_models import changed, taken


@given(st.floats(min_value=-(2.0**53), max_value=2.0**53) | st.integers(-(2**53), 2**53))
@example(0.1 + 0.2)
@example(5e-324)
@example(-1e-17)
def test_a_price_that_is_kept_can_be_sent_again(value: float) -> None:
    """A change judges the whole registration anew, as it is kept."""
    kept = taken(changed("return_price", {"value": value, "currency": "EUR"})).document
    again = taken(changed("return_price", kept["return_price"])).document
    assert again["return_price"] == kept["return_price"]
    assert float(kept["return_price"]["value"]) == pytest.approx(value, abs=1e-16)
