"""Check digits of tracking numbers, by the names manifests use.

They rank and warn, they never refuse: carriers hand out numbers that fail their own rule.
Each function takes a number without blanks in upper case and says whether its check holds.
"""

from collections.abc import Callable, Mapping

_S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
_SPANISH_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def s10(number: str) -> bool:
    """UPU S10: two letters, eight digits, a check digit, two letters (``RB123456785GB``)."""
    digits = number[2:11]
    if len(number) != 13 or not _is_digits(digits):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_S10_WEIGHTS, digits, strict=False))
    check = 11 - total % 11
    return int(digits[8]) == {10: 0, 11: 5}.get(check, check)


def gs1_mod10(number: str) -> bool:
    """GS1 (SSCC, GTIN): weights 3 and 1 from the right, over all digits of the number."""
    return _three_and_one(number, 0)


def gls(number: str) -> bool:
    """GLS: as GS1, with one added to the sum."""
    return _three_and_one(number, 1)


def mod7(number: str) -> bool:
    """The digits before the last, taken as one number, modulo 7."""
    return len(number) > 1 and _is_digits(number) and int(number[:-1]) % 7 == int(number[-1])


def iso7064_mod37_36(number: str) -> bool:
    """ISO 7064 hybrid system mod 37,36 over digits and letters, the last character checks."""
    if len(number) < 2 or any(character not in _ALPHANUMERIC for character in number):
        return False
    product = 36
    for character in number[:-1]:
        product = (product + _ALPHANUMERIC.index(character)) % 36 or 36
        product = product * 2 % 37
    return (product + _ALPHANUMERIC.index(number[-1])) % 36 == 1


def ups_1z(number: str) -> bool:
    """UPS ``1Z`` and 16 characters: odd places once, even twice, letters as (code - 3) % 10."""
    body = number[2:]
    if len(body) != 16 or not number.startswith("1Z") or not body.isalnum() or not body.isascii():
        return False
    values = [int(c) if c.isdigit() else (ord(c) - 3) % 10 for c in body]
    total = sum(value * (2 if place % 2 else 1) for place, value in enumerate(values[:-1]))
    return body[-1].isdigit() and (10 - total % 10) % 10 == values[-1]


def fedex_12(number: str) -> bool:
    """FedEx, 12 digits: weights 3, 1, 7 from the left, modulo 11 modulo 10."""
    if len(number) != 12 or not _is_digits(number):
        return False
    total = sum(int(digit) * (3, 1, 7)[place % 3] for place, digit in enumerate(number[:-1]))
    return total % 11 % 10 == int(number[-1])


def mondial_relay(number: str) -> bool:
    """Mondial Relay's label, 26 digits: the 15th checks those before it, the last those between."""
    if len(number) != 26 or not _is_digits(number):
        return False
    return _mod11(number[:14]) == int(number[14]) and _mod11(number[15:25]) == int(number[25])


def spanish_letter(number: str) -> bool:
    """The letter of Spanish identity cards, over the sum of the codes of all characters before."""
    codes = sum(map(ord, number[:-1]))
    return number.isascii() and len(number) > 1 and number[-1] == _SPANISH_LETTERS[codes % 23]


def _three_and_one(number: str, added: int) -> bool:
    if len(number) < 2 or not _is_digits(number):
        return False
    body = reversed(number[:-1])
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(body)) + added
    return (10 - total % 10) % 10 == int(number[-1])


def _mod11(digits: str) -> int:
    """Weights 2 to 7 over and over from the right; what is left to 11, 10 and 11 being 0."""
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(digits)))
    return (11 - total % 11) % 11 % 10


def _is_digits(text: str) -> bool:
    # str.isdigit() also accepts superscripts and other scripts' digits.
    return text.isascii() and text.isdigit()


CHECKS: Mapping[str, Callable[[str], bool]] = {
    "s10": s10,
    "gs1_mod10": gs1_mod10,
    "gls": gls,
    "mod7": mod7,
    "iso7064_mod37_36": iso7064_mod37_36,
    "ups_1z": ups_1z,
    "fedex_12": fedex_12,
    "mondial_relay": mondial_relay,
    "spanish_letter": spanish_letter,
}
