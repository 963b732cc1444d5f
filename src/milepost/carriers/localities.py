"""Countries and towns, by whatever carriers call them."""

from collections.abc import Mapping
from functools import lru_cache

import pycountry

# Names carriers print beside those of ISO 3166.
_OTHER_NAMES = {
    "uk": "GB",
    "great britain": "GB",
    "usa": "US",
    "united states of america": "US",
    "turkey": "TR",
    "czech republic": "CZ",
    "czech republic, the": "CZ",
    "netherlands, the": "NL",
    "the netherlands": "NL",
    "hong kong sar, china": "HK",
    "china, people's republic": "CN",
    "korea, republic of (south k.)": "KR",
    "russian federation, the": "RU",
    "deutschland": "DE",
}


def country_code(told: str) -> str:
    """The ISO 3166-1 alpha-2 code of what a carrier calls a country: that code, the one of three
    letters, or its English name; ``""`` where it is none of these."""
    told = told.strip()
    if len(told) in (2, 3) and (code := _codes().get(told.upper())):
        return code
    return _names().get(told.casefold(), "")


def town_and_country(locality: str) -> tuple[str, str]:
    """``LEIPZIG - GERMANY`` is a town and a country; a text without a country is a town."""
    # The whole first: Guinea-Bissau is no town.
    for town, last in (("", locality), _halves(locality, " - "), _halves(locality, "-")):
        country = _names().get(last.casefold())
        if country:
            return town, country
    return locality, ""


def _halves(locality: str, dash: str) -> tuple[str, str]:
    town, _, last = locality.rpartition(dash)
    return town.strip(), last.strip()


@lru_cache(maxsize=1)
def _codes() -> Mapping[str, str]:
    return {
        code: country.alpha_2
        for country in pycountry.countries
        for code in (country.alpha_2, country.alpha_3)
    }


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str]:
    names = {
        name.casefold(): country.alpha_2
        for country in pycountry.countries
        for name in (country.name, getattr(country, "common_name", country.name))
    }
    return {**names, **_OTHER_NAMES}
