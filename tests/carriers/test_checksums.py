"""Check digits: published test numbers hold, and every single wrong digit is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.carriers.checksums import CHECKS

VALID = [
    ("s10", "RB123456785GB"),
    ("s10", "FQ087430672GB"),
    ("s10", "EW112720413FR"),
    ("s10", "XY746876977FR"),
    ("ups_1z", "1Z5R89390357567127"),
    ("ups_1z", "1Z879E930346834440"),
    ("ups_1z", "1ZCIETST0111111114"),
    ("fedex_12", "986578788855"),
    ("fedex_12", "477179081230"),
    ("gs1_mod10", "041441760228964"),
    ("gs1_mod10", "568283610012000"),
    ("gs1_mod10", "340434161094015902"),
    ("gls", "604831862623"),
    ("gls", "363019175961"),
    ("mod7", "3318810025"),
    ("mod7", "8487135506"),
    ("mod7", "123456782"),
    ("iso7064_mod37_36", "09980000020033F"),
    ("iso7064_mod37_36", "09980000020034D"),
    ("iso7064_mod37_36", "05162815323093X"),
    ("mondial_relay", "12123456780101006623123454"),
    ("spanish_letter", "PK43BG0440928440146007C"),
]


@pytest.mark.parametrize(("check", "number"), VALID)
def test_a_published_number_holds(check: str, number: str) -> None:
    assert CHECKS[check](number)


@pytest.mark.parametrize(("check", "number"), [pair for pair in VALID if pair[0] != "ups_1z"])
def test_another_check_character_does_not_hold(check: str, number: str) -> None:
    place = 10 if check == "s10" else len(number) - 1
    for other in "0123456789":
        if other != number[place]:
            assert not CHECKS[check](number[:place] + other + number[place + 1 :])


def test_another_ups_check_digit_does_not_hold() -> None:
    wrong = [digit for digit in "012345689" if CHECKS["ups_1z"]("1Z5R8939035756712" + digit)]
    assert wrong == []


def test_each_half_of_a_label_of_mondial_relay_has_its_digit() -> None:
    assert not CHECKS["mondial_relay"]("12123456780101106623123454")


@given(st.sampled_from(sorted(CHECKS)), st.text(max_size=40))
def test_any_text_gives_an_answer(check: str, number: str) -> None:
    assert CHECKS[check](number) in (True, False)
