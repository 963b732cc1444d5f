"""Which clock a place goes by, and how sure we are of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
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
# Islands with a clock of their own, told apart by the postal code.
_ISLANDS = {
    "ES": ((("35", "38"), "Atlantic/Canary"),),
    "PT": (
        (("95", "96", "97", "98", "99"), "Atlantic/Azores"),
        (("90", "91", "92", "93", "94"), "Atlantic/Madeira"),
    ),
}
# How the postal codes of Spain's provinces on islands with a clock of their own begin.
_ISLAND_PROVINCES = {"las palmas": "35", "santa cruz de tenerife": "38", "tenerife": "38"}


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone's name (``Europe/Amsterdam``) and where we have it from."""

    name: str
    source: ZoneSource


def zone_of(country_code: str, postal_code: str, home_zone: str) -> Zone:
    """The zone of a place, ``assumed`` where its country has several clocks.

    With an unknown country it is ``home_zone``, the carrier's own, assumed too.
    """
    names = zones_by_country().get(country_code.upper(), ())
    if not names:
        return Zone(home_zone, ZoneSource.ASSUMED)
    islands = _ISLANDS.get(country_code.upper())
    if islands and postal_code:
        return Zone(_island(postal_code, islands, names[0]), ZoneSource.PLACE)
    source = ZoneSource.PLACE if _one_clock(names) or islands else ZoneSource.ASSUMED
    return Zone(names[0], source)


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


def _island(postal_code: str, islands: tuple[tuple[tuple[str, ...], str], ...], main: str) -> str:
    return next((name for starts, name in islands if postal_code.startswith(starts)), main)


@lru_cache(maxsize=256)
def _one_clock(names: tuple[str, ...]) -> bool:
    """Whether all these zones show the same time (Germany has two zones and one clock)."""
    probes = (datetime(2025, 1, 1, 12), datetime(2025, 7, 1, 12))  # noqa: DTZ001
    return all(len({ZoneInfo(name).utcoffset(probe) for name in names}) == 1 for probe in probes)
