"""The words a parcel is found by, and the words of a search: folded alike, or nothing is found.

Pure. Each word carries its account (``12:rotterdam``), so that one index over all accounts is read
for one account only. Carrier and countries are kept beside the words, under names no search meets.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

MOST_LETTERS = 100
"""Letters of a word that count; a longer word, stored or asked for, is cut there."""
MOST_WORDS = 64
"""Words kept of a parcel, its numbers first: a name of a thousand words is no name."""
MOST_ASKED = 10
"""Words of one search; more are left out, and could only have narrowed it."""

_WORD = re.compile(r"[^\W_]+")
# Letters that Unicode does not take apart into a plain one and a mark.
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)


def lexemes(
    account_id: int,
    carrier_code: str,
    tracking_number: str,
    source_id: str,
    document: Mapping[str, Any],
) -> list[str]:
    """What ``parcel_search.words`` holds of a parcel: number, identifier, source_id, order number,
    the recipient's postal code, name, company and city, the carrier, and both countries.

    ``document`` is the registration in the form we keep (``parcel.request``). Sorted, without
    repeats; never empty strings, at most ``MOST_WORDS`` of at most ``MOST_LETTERS`` letters.
    """
    to_address = document.get("to_address") or {}
    from_address = document.get("from_address") or {}
    order = (document.get("shipment") or {}).get("order") or {}
    identifier = (document.get("tracking_number") or {}).get("tracking_identifier")
    codes = (
        tracking_number,
        identifier,
        source_id,
        order.get("order_number"),
        to_address.get("postal_code"),
    )
    names = (to_address.get(name) for name in ("name", "company_name", "city"))
    apart = [_parts(code) for code in codes if code]
    words = dict.fromkeys(map(_whole, apart))
    for parts in apart:
        words |= dict.fromkeys(parts)
    for name in names:
        if name:
            words |= dict.fromkeys(_parts(name))
    kept = list(dict.fromkeys(word[:MOST_LETTERS] for word in words if word))[:MOST_WORDS]
    countries = (
        named_lexeme(account_id, side, address["country_code"])
        for side, address in (("from", from_address), ("to", to_address))
        if address.get("country_code")
    )
    carrier = named_lexeme(account_id, "carrier", carrier_code)
    return sorted({*(f"{account_id}:{word}" for word in kept), carrier, *countries})


def named_lexeme(account_id: int, name: str, code: str) -> str:
    """The word for a parcel of a ``carrier``, or one that goes ``from`` or ``to`` a country.

    Codes that differ in punctuation only share one.
    """
    return f"{account_id}/{name}:{_code(code)}"


def whole_lexeme(account_id: int, code: str) -> str:
    """The word of a whole number, source_id, order number or postal code, ``""`` for none."""
    word = _whole(_parts(code))
    return f"{account_id}:{word}" if word else ""


def search_query(account_id: int, text: str) -> str:
    """``text`` as a ``tsquery``: every word of it must begin a word of the parcel.

    ``""`` where the text holds no letter and no digit.
    """
    words = list(dict.fromkeys(word[:MOST_LETTERS] for word in _parts(text)))[:MOST_ASKED]
    # A word is letters and digits only, so nothing in it can end the quotes.
    return " & ".join(f"'{account_id}:{word}':*" for word in words)


def _parts(text: str) -> list[str]:
    return _WORD.findall(_folded(text))


def _whole(parts: Iterable[str]) -> str:
    """A code in one piece: ``1012 AB`` is looked for as ``1012ab`` too."""
    return "".join(parts)[:MOST_LETTERS]


@lru_cache(maxsize=1024)
def _code(code: str) -> str:
    """Few carriers and countries are in many parcels."""
    return _whole(_parts(code))


def _folded(text: str) -> str:
    """Without case, accents and other ways to write the same letter."""
    if text.isascii():
        # The same, and most text is: this is a good part of what a registration costs.
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return bare.casefold().translate(_PLAIN)
