"""The words of a parcel and of a search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.parcels.search import (
    MOST_ASKED,
    MOST_LETTERS,
    MOST_WORDS,
    lexemes,
    search_query,
)

DOCUMENT = {
    "from_address": {"country_code": "DE", "postal_code": "10115", "city": "Berlin"},
    "to_address": {
        "name": "Zoë Łukasz-Müller",
        "company_name": None,
        "postal_code": "1012 AB",
        "city": "'s-Hertogenbosch",
        "country_code": "NL",
    },
    "shipment": {"order": {"order_number": "#1001/7"}},
    "tracking_number": {"carrier_code": "dhl", "tracking_identifier": "ID-9"},
}


def test_every_agreed_field_is_found_folded() -> None:
    words = lexemes(12, "dhl_express", "jjd 0139-0300", "Straße_5", DOCUMENT)
    codes = "jjd01390300 jjd 0139 0300 id9 id 9 strasse5 strasse 5 10017 1001 7 1012ab 1012 ab"
    names = "zoe lukasz muller s hertogenbosch"
    own = [f"12:{word}" for word in f"{codes} {names}".split()]
    assert words == sorted([*own, "12/carrier:dhlexpress", "12/from:de", "12/to:nl"])


def test_a_bare_document_has_words_too() -> None:
    assert lexemes(1, "dhl", "X1", "", {}) == ["1/carrier:dhl", "1:x1"]


def test_a_query_asks_for_every_word_as_a_beginning() -> None:
    assert search_query(7, "  MÜLLER 's-Hert ") == "'7:muller':* & '7:s':* & '7:hert':*"
    assert search_query(7, "-- ' !") == ""


def test_bounds() -> None:
    long_name = " ".join(f"w{n}" for n in range(1000)) + " " + "x" * 5000
    words = lexemes(1, "dhl", "N" * 255, "", {"to_address": {"name": long_name}})
    assert len(words) == MOST_WORDS + 1  # and the carrier
    assert f"1:{'n' * MOST_LETTERS}" in words
    assert search_query(1, long_name).count("&") == MOST_ASKED - 1


@pytest.mark.parametrize("expanding", ["\ufdfa", "\u0390", "ﬃ"])
def test_a_letter_that_folds_into_many_is_bounded_after_folding(expanding: str) -> None:
    words = lexemes(1, "dhl", "N1", expanding * 255, {})
    assert max(len(word) for word in words) <= MOST_LETTERS + len("1:")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80))
def test_whatever_is_stored_is_found_by_itself(text: str) -> None:
    stored = set(lexemes(3, "dhl", text, text, {"to_address": {"name": text, "city": text}}))
    asked = [term.strip("':*") for term in search_query(3, text).split(" & ") if term]
    assert all(any(word.startswith(term) for word in stored) for term in asked)
    # Nothing that the quotes of a tsquery could trip over.
    assert not any(mark in word for word in stored for mark in "'\\\0 ")
