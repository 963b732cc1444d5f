"""What speaks for a carrier: the form of the number, its check digit, the countries, the past.

Bayes' rule with few and coarse figures: how likely a carrier is before its number is looked at, and
how likely this very number is among that carrier's. The corpus in tests/carriers holds what comes
of the figures below to bars, and says what they are worth for carriers they were not fitted to.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from milepost.carriers.checksums import s10
from milepost.carriers.manifest import Manifest
from milepost.carriers.number_format import NumberFormat
from milepost.carriers.pattern_size import size_of
from milepost.carriers.status_rules import Confidence

SURE: Mapping[Confidence, float] = {"documented": 1.0, "seen": 0.8, "assumed": 0.4}
"""What a form counts by how sure it is."""
CHECK_FAILS = 0.03
"""How many of a carrier's numbers fail its own check."""
_CHECK_CHARACTERS = {"iso7064_mod37_36": 36, "spanish_letter": 26}
"""How many characters a check may end in, where it is not ten digits."""

OF_POSTS = 0.1
"""How likely such a number is one that the posts of all countries agreed upon."""
_POSTAL_NUMBERS = 26**2 * 10**8 * 200


@dataclass(frozen=True, slots=True)
class Geography:
    """What countries count, each compared with a carrier that delivers where it is at home.

    ``abroad``: it delivers where it is not at home; ``from_home``: the parcel comes from where it
    is; ``anywhere``: it delivers anywhere; ``from_abroad``: it collects where it is not at home.
    ``nobody``: so many carriers of a country are not in the catalogue, whatever it has of it.
    """

    abroad: float = 0.01
    from_home: float = 0.25
    anywhere: float = 0.15
    from_abroad: float = 0.4
    nobody: float = 1.0


GEOGRAPHY = Geography()


UNKNOWN_FORM = 0.05
"""How likely this very length and alphabet is, for numbers of which nothing is known."""

_MOST_LANES = 2_000
PAST_WEIGHT, LANE_WEIGHT = 25.0, 10.0
"""So many parcels of an account count as much as what is thought of all accounts; and so many to
one country as much as what is thought of the account."""


@dataclass(frozen=True, slots=True)
class History:
    """An account's parcels of late: how many by carrier and country of destination."""

    parcels: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def by_carrier(self, country: str = "") -> dict[str, float]:
        """How many each carrier had, to ``country`` where one is given."""
        found: dict[str, float] = {}
        for (code, destination), parcels in self.parcels.items():
            if not country or destination == country:
                found[code] = found.get(code, 0.0) + parcels
        return found


def of_format(form: NumberFormat, key: str) -> float:
    """How likely just this number is, if the carrier has numbers of this form."""
    likely = size_of(form.pattern).density(key) * form.prior * SURE[form.confidence]
    if not form.check:
        return likely
    characters = _CHECK_CHARACTERS.get(form.check, 10)
    if form.checks(key):
        return likely * characters * (1 - CHECK_FAILS)
    return likely * CHECK_FAILS * characters / (characters - 1)


_LONG = 64
"""Nobody's numbers are longer; without an end the likelihood of a page of digits would be 0."""


def of_unknown(key: str) -> float:
    """How likely just this number is of a carrier whose numbers are not known."""
    length = min(len(key), _LONG)
    digits = 10.0**-length if key.isdigit() else 0.0
    anything = UNKNOWN_FORM * (digits + 36.0**-length) / 2
    return anything + (OF_POSTS / _POSTAL_NUMBERS if s10(key) else 0.0)


def of_countries(
    manifest: Manifest, origin: str, destination: str, counts: Geography = GEOGRAPHY
) -> float:
    """How likely the carrier takes a parcel between two countries; ``""`` is not known."""
    home = manifest.countries
    if not home:
        return counts.abroad
    likely = 1.0
    if destination in home:
        # Whoever serves one country has all its parcels there.
        likely /= len(home) ** 0.5
    elif destination:
        likely = counts.anywhere if manifest.delivers_abroad else counts.abroad
        if origin in home:
            likely = max(likely, counts.from_home)
    if origin and origin not in home:
        likely *= counts.from_abroad
    return likely


class Priors:
    """How likely the carriers of a catalogue are before a number is looked at."""

    def __init__(self, manifests: Collection[Manifest], counts: Geography) -> None:
        self._counts = counts
        self._manifests = {one.code: one for one in manifests}
        self._known: dict[tuple[str, str], Mapping[str, float]] = {}

    def of(self, history: History, origin: str, destination: str) -> Mapping[str, float]:
        """Each carrier's share; ``""`` stands for nobody we know.

        What an account did counts the more the more it is: to this country, else at all.
        """
        likely = self._of_anybody(origin, destination)
        if not history.parcels:
            return likely
        anywhere = {
            code: parcels * self._as_likely(code, origin, destination)
            for code, parcels in history.by_carrier().items()
        }
        there = history.by_carrier(destination)
        for past, weight in ((anywhere, PAST_WEIGHT), (there, LANE_WEIGHT)):
            parcels = sum(past.values()) + weight
            likely = {
                code: (past.get(code, 0.0) + weight * likely.get(code, 0.0)) / parcels
                for code in likely.keys() | past.keys()
            }
        return likely

    def _as_likely(self, code: str, origin: str, destination: str) -> float:
        """What a parcel to somewhere counts for one to ``destination``."""
        manifest = self._manifests.get(code)
        if manifest is None or not destination or destination in manifest.countries:
            return 1.0
        return of_countries(manifest, origin, destination, self._counts)

    def _of_anybody(self, origin: str, destination: str) -> Mapping[str, float]:
        lane = (origin, destination)
        if lane not in self._known:
            if len(self._known) >= _MOST_LANES:
                self._known.clear()
            self._known[lane] = self._by_countries(*lane)
        return self._known[lane]

    def _by_countries(self, origin: str, destination: str) -> Mapping[str, float]:
        every = self._manifests.values()
        likely = {one.code: of_countries(one, origin, destination, self._counts) for one in every}
        total = sum(likely.values()) or 1.0
        at_home = sum(1 for one in every if not destination or destination in one.countries)
        nobody = self._counts.nobody / (self._counts.nobody * 2 + at_home)
        return {code: (1 - nobody) * one / total for code, one in likely.items()} | {"": nobody}
