"""What a scanner or a clipboard hands over as a tracking number, and what it may stand for.

A GS1 bar code is a row of elements, each an identifier with its value: 00 a logistic unit (SSCC),
420 and 421 the recipient's postal code. A value of no fixed length ends with FNC1, which scanners
send as the character GS or write out, or drop.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pycountry

from milepost.carriers.checksums import gs1_mod10
from milepost.tracking.parcel import number_key

MOST = 2_000
"""Characters that are looked at: as long as an address may be."""

DASHED, SLASHED = 0.5, 0.01
"""How likely a number without such characters is written with them."""

_GS = "\x1d"
_WRITTEN_GS = re.compile(r"<GS>|<FNC1>|\{GS\}|\{FNC1\}|\[GS\]|\[FNC1\]|\\X1D|\\U001D|␝|È", re.I)
_SYMBOLOGY = re.compile(r"\][A-Z][0-9A-Z]", re.IGNORECASE)
_GS1_SYMBOLOGIES = {"]C1", "]E0", "]D2", "]Q3", "]J1"}
_BETWEEN = re.compile(
    r"[\s\-./_·•\u2010-\u2015\u2212\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]+"
)
_IN_BRACKETS = re.compile(r"\((\d{2,4})\)([^()]*)")
_FIXED = {"00": 18, "01": 14, "02": 14, "402": 17, "410": 13, "413": 13, "414": 13, "415": 13}
_FREE = {"420": 20, "421": 12, "400": 30, "401": 30, "403": 30, "10": 20, "21": 20, "37": 8}
_INTERNAL = re.compile(r"9[0-9]")
# Without FNC1 behind it a postal code ends where what follows can only be a number.
_POSTAL_THEN_UNIT = re.compile(
    r"42(?:0|1(?P<country>\d{3}))(?P<pc>[0-9A-Z]{2,9})00(?P<unit>\d{18})"
)
_ZIP_THEN_NUMBER = re.compile(r"420(?P<pc>\d{5}(?:\d{4})?)(?P<number>9\d{19}(?:\d{2}(?:\d{4})?)?)")


@dataclass(frozen=True, slots=True)
class Form:
    """One number that what was scanned may stand for, how likely anybody would write it so, and
    what else the label told."""

    key: str
    postal_code: str = ""
    country: str = ""
    likely: float = 1.0


def forms_of(scanned: str) -> tuple[Form, ...]:
    """The numbers that ``scanned`` may stand for, the most literal one first; none for nothing."""
    return tuple(dict.fromkeys(form for form in _forms(scanned[:MOST]) if form.key))


def country_of(numeric: str) -> str:
    """The two letters of a country that is told by its three digits, ``""`` for none."""
    return _countries().get(numeric, "")


def _forms(scanned: str) -> Iterator[Form]:
    text = _WRITTEN_GS.sub(_GS, scanned.strip(" \t\r\n*")).upper()
    symbology = _SYMBOLOGY.match(text)
    if symbology:
        text = text[symbology.end() :]
    plain = number_key(text.replace(_GS, ""))
    is_gs1 = _GS in text or (symbology is not None and symbology[0] in _GS1_SYMBOLOGIES)
    elements = dict(_IN_BRACKETS.findall(text)) if text.startswith("(") else {}
    if not elements and is_gs1:
        elements = dict(_elements(text.lstrip(_GS)))
    if elements:
        yield from _of_elements(elements)
    elif found := _POSTAL_THEN_UNIT.fullmatch(plain):
        yield from _unit(found["unit"], found["pc"], country_of(found["country"] or ""))
    elif found := _ZIP_THEN_NUMBER.fullmatch(plain):
        yield Form(found["number"], found["pc"], "US")
    else:
        yield Form(plain)
        bare = _BETWEEN.sub("", plain)
        if bare != plain:
            yield Form(bare, likely=SLASHED if "/" in plain else DASHED)
        yield from _unit_alone(bare)


def _of_elements(elements: dict[str, str]) -> Iterator[Form]:
    """The numbers among a label's elements, with the postal code that stands beside them."""
    country = country_of(elements.get("421", "")[:3])
    postal_code = elements.get("420", "") or elements.get("421", "")[3:]
    place = _BETWEEN.sub("", postal_code), country
    if unit := _BETWEEN.sub("", elements.get("00", "")):
        yield from _unit(unit, *place)
    for identifier in ("403", "401", "402", "21", "400"):
        yield Form(_BETWEEN.sub("", elements.get(identifier, "")), *place)
    for identifier, value in elements.items():
        # Numbers of posts and parcel services that look like an internal element.
        if _INTERNAL.fullmatch(identifier):
            yield Form(_BETWEEN.sub("", value), *place)
            yield Form(identifier + _BETWEEN.sub("", value), *place)


def _unit(digits: str, postal_code: str = "", country: str = "") -> Iterator[Form]:
    # Carriers differ in whether the identifier belongs to the number.
    yield Form("00" + digits, postal_code, country)
    yield Form(digits, postal_code, country)


def _unit_alone(bare: str) -> Iterator[Form]:
    unit = bare[2:] if len(bare) == 20 and bare.startswith("00") else bare
    if len(unit) == 18 and gs1_mod10(unit):
        yield from _unit(unit)


def _elements(text: str) -> Iterator[tuple[str, str]]:
    """The elements of a row without brackets, up to one that is not known."""
    while text:
        identifier = next((one for one in _KNOWN if text.startswith(one)), "")
        if not identifier:
            return
        rest = text[len(identifier) :]
        most = _FIXED.get(identifier)
        value = rest[:most] if most else rest.partition(_GS)[0][: _FREE.get(identifier, 90)]
        yield identifier, value
        text = rest[len(value) :].lstrip(_GS)


_KNOWN = (*_FIXED, *_FREE, *(f"9{digit}" for digit in range(10)))


@cache
def _countries() -> dict[str, str]:
    return {country.numeric: country.alpha_2 for country in pycountry.countries}
