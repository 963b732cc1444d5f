"""Which clock a place goes by, and how sure we are of it."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from milepost.tracking.events import ZoneSource

# The zone most people live by, where the first one of the zone table is another.
_MAIN = {
    "AR": "America/Argentina/Buenos_Aires",
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "CD": "Africa/Kinshasa",
    "CL": "America/Santiago",
    "CN": "Asia/Shanghai",
    "EC": "America/Guayaquil",
    "ES": "Europe/Madrid",
    "GL": "America/Nuuk",
    "ID": "Asia/Jakarta",
    "KZ": "Asia/Almaty",
    "MN": "Asia/Ulaanbaatar",
    "MX": "America/Mexico_City",
    "MY": "Asia/Kuala_Lumpur",
    "NZ": "Pacific/Auckland",
    "PF": "Pacific/Tahiti",
    "PG": "Pacific/Port_Moresby",
    "PT": "Europe/Lisbon",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "US": "America/New_York",
}
# The whole country goes by one clock; the table of zones knows another, of the people there.
_ONE_BY_LAW = frozenset({"CN"})
# How the postal codes of Spain's provinces on islands with a clock of their own begin.
_ISLAND_PROVINCES = {"las palmas": "35", "santa cruz de tenerife": "38", "tenerife": "38"}

# A zone is called after a small town, and others of the name go by another clock.
_MANY_TOWNS = frozenset({"beulah", "center", "knox", "marengo", "monticello", "petersburg"})
MOST_ZEROS = 2
"""No country has codes with more of them in front."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone's name (``Europe/Amsterdam``) and where we have it from."""

    name: str
    source: ZoneSource


@dataclass(frozen=True, slots=True)
class _PostalCodes:
    """A country's zones by how its postal codes begin, and that of the ``rest``; ``lengths`` of
    codes that may begin with zeros."""

    zones: Mapping[str, str]
    rest: str = ""
    lengths: tuple[int, ...] = ()


_NO_CODES = _PostalCodes({})


# Asked for every event of an answer, and most happened in few places.
@lru_cache(maxsize=4096)
def zone_of(country_code: str, postal_code: str, home_zone: str, city: str = "") -> Zone:
    """The zone of a place, ``assumed`` where its country has several clocks and neither its postal
    code nor its city tells which (a city after which a zone is called).

    With an unknown country it is ``home_zone``, the carrier's own, assumed too.
    """
    country = country_code.upper()
    names = zones_by_country().get(country, ())
    if not names:
        return Zone(home_zone, ZoneSource.ASSUMED)
    codes = _postal_zones().get(country, _NO_CODES)
    told = _by_postal_code(postal_code, codes) or codes.rest or _by_city(city, names)
    if told:
        return Zone(told, ZoneSource.PLACE)
    one = country in _ONE_BY_LAW or _one_clock(names)
    return Zone(names[0], ZoneSource.PLACE if one else ZoneSource.ASSUMED)


def zone_of_spanish(province: str, home_zone: str) -> Zone:
    """The zone of a province of Spain, where carriers tell it and no postal code."""
    return zone_of("ES", _ISLAND_PROVINCES.get(province.casefold().strip(), ""), home_zone)


@lru_cache(maxsize=1)
def zones_by_country() -> Mapping[str, tuple[str, ...]]:
    """All zones of each country (ISO 3166-1 alpha-2), the one most people live by first."""
    table: dict[str, list[str]] = {}
    text = files("tzdata").joinpath("zoneinfo/zone.tab").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            country, _, name = line.split("\t")[:3]
            table.setdefault(country, []).append(name)
    return MappingProxyType({code: _main_first(code, names) for code, names in table.items()})


def _main_first(country: str, names: list[str]) -> tuple[str, ...]:
    main = _MAIN.get(country, names[0])
    return (main, *(name for name in names if name != main))


def _by_postal_code(postal_code: str, codes: _PostalCodes) -> str:
    code, zones = "".join(filter(str.isalnum, postal_code)).upper(), codes.zones
    if code.isdecimal():
        # Spreadsheets and whole numbers lose zeros in front: 3501 is Benidorm, not the Canaries.
        whole = [
            length for length in codes.lengths if len(code) <= length <= len(code) + MOST_ZEROS
        ]
        code = code.zfill(min(whole, default=0))
    return next((zones[code[:n]] for n in range(len(code), 0, -1) if code[:n] in zones), "")


@lru_cache(maxsize=4096)
def _by_city(city: str, names: tuple[str, ...]) -> str:
    known = city.casefold().strip()
    cities = {name.rpartition("/")[2].replace("_", " ").casefold(): name for name in names}
    return "" if known in _MANY_TOWNS else cities.get(known, "")


@lru_cache(maxsize=1)
def _postal_zones() -> Mapping[str, _PostalCodes]:
    text = files("milepost.carriers").joinpath("postal_zones.toml").read_text(encoding="utf-8")
    return {country: _codes_of(told) for country, told in tomllib.loads(text).items()}


def _codes_of(told: dict[str, Any]) -> _PostalCodes:
    rest, lengths = told.pop("rest", ""), told.pop("length", ())
    return _PostalCodes(dict(_starts(told)), rest, tuple(lengths))


def _starts(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for zone, starts in told.items():
        for one in starts:
            first, _, last = one.partition("-")
            fixed = first.rstrip("0123456789")
            digits = range(
                int(first[len(fixed) :] or 0), int((last or first)[len(fixed) :] or 0) + 1
            )
            for digit in digits if first != fixed else ():
                yield f"{fixed}{digit:0{len(first) - len(fixed)}d}", zone
            if first == fixed:
                yield first, zone


@lru_cache(maxsize=256)
def _one_clock(names: tuple[str, ...]) -> bool:
    """Whether all these zones show the same time (Germany has two zones and one clock)."""
    probes = (datetime(2025, 1, 1, 12), datetime(2025, 7, 1, 12))  # noqa: DTZ001
    return all(len({ZoneInfo(name).utcoffset(probe) for name in names}) == 1 for probe in probes)
