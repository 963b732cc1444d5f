"""DHL's places: some divisions put the country's English name into the town."""

from collections.abc import Mapping
from functools import lru_cache

import pycountry

from milepost.carriers.answer_tree import Tree
from milepost.tracking.events import Place

# Names DHL prints beside those of ISO 3166.
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


def place_of(location: Tree) -> Place:
    """The place of an event. ``LEIPZIG - GERMANY`` is a town and a country."""
    address = location.child("address")
    town, country = _town_and_country(address.text("addressLocality"))
    return Place(
        city=town,
        country_code=address.text("countryCode").upper()[:2] or country,
        postal_code=address.text("postalCode"),
        street=address.text("streetAddress"),
        depot=location.text("servicePoint", "label"),
    )


def _town_and_country(locality: str) -> tuple[str, str]:
    # The whole first: Guinea-Bissau is no town.
    for town, last in (("", locality), _halves(locality, " - "), _halves(locality, "-")):
        country = _countries().get(last.casefold())
        if country:
            return town, country
    return locality, ""


def _halves(locality: str, dash: str) -> tuple[str, str]:
    town, _, last = locality.rpartition(dash)
    return town.strip(), last.strip()


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, str]:
    names = {
        name.casefold(): country.alpha_2
        for country in pycountry.countries
        for name in (country.name, getattr(country, "common_name", country.name))
    }
    return {**names, **_OTHER_NAMES}
