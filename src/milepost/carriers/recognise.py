"""Whose number is this? Every carrier it may be of, how likely each is, and why.

1. What was scanned or pasted becomes the numbers it may stand for (``scanned``, ``pasted``).
2. Each carrier's forms are held against each of them; of a carrier its likeliest counts.
3. That is weighed with the countries and with what the account had of late (``likelihood``).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from milepost.carriers.likelihood import (
    GEOGRAPHY,
    Geography,
    History,
    Priors,
    of_format,
    of_unknown,
)
from milepost.carriers.number_format import NumberFormat
from milepost.carriers.pasted import Pages, Pasted
from milepost.carriers.pattern_size import LONGEST, size_of
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.scanned import Form, country_of, forms_of

Check = Literal["holds", "fails", "none"]

CLEARLY_AHEAD = 0.9
"""From here on a candidate is taken without asking anybody."""
MOST_CERTAIN = 0.99
"""Nobody is surer than that: who gave the number out stands nowhere in it."""
MOST_SHARED = 0.95
"""Nobody is surer than that where another carrier has such numbers, too: which of them gives out
how many is not known."""
FEWEST = 0.001
"""Candidates less likely than that are left out."""
OFF_PAGE, OFF_HOST = 0.05, 1e-12
"""How likely a link is to a carrier's host but not to its page, and to neither."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A carrier the number may be of. ``number`` is what it would be tracked by."""

    carrier_code: str
    carrier_name: str
    number: str
    probability: float
    check: Check
    check_name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recognition:
    """All candidates, the likeliest first; ``unknown`` is what is left for everybody else.

    ``postal_code`` and ``country`` of the recipient are what a label or a link told.
    """

    candidates: tuple[Candidate, ...]
    unknown: float
    postal_code: str = ""
    country: str = ""

    @property
    def best(self) -> Candidate | None:
        """The candidate that is clearly ahead of all others, if any is."""
        if self.candidates and self.candidates[0].probability >= CLEARLY_AHEAD:
            return self.candidates[0]
        return None


@dataclass(frozen=True, slots=True)
class _Fit:
    """How a number looks as one of a carrier's: ``form`` is None where that is not known."""

    key: str
    likely: float
    form: NumberFormat | None = None

    @property
    def number(self) -> str:
        return (self.form.part(self.key, "number") if self.form else "") or self.key

    @property
    def check(self) -> Check:
        if self.form is None or not self.form.check:
            return "none"
        return "holds" if self.form.checks(self.key) else "fails"


class Recogniser:
    """Recognises numbers of the carriers of one catalogue; ``counts`` is for who tries others."""

    def __init__(self, catalogue: Catalogue, counts: Geography = GEOGRAPHY) -> None:
        self._carriers = {carrier.manifest.code: carrier for carrier in catalogue}
        manifests = [carrier.manifest for carrier in self._carriers.values()]
        self._priors = Priors(manifests, counts)
        self._by_length: dict[int, list[tuple[str, NumberFormat]]] = defaultdict(list)
        for manifest in manifests:
            for form in manifest.formats:
                for length in size_of(form.pattern).sizes:
                    self._by_length[length].append((manifest.code, form))
        self._pages = Pages(
            (code, page.url)
            for code, carrier in self._carriers.items()
            for page in carrier.manifest.tracking_pages
        )

    def recognise(
        self,
        scanned: str,
        *,
        origin: str = "",
        destination: str = "",
        history: History | None = None,
    ) -> Recognition:
        """Every carrier that ``scanned`` may be of, from one country to another (two letters)."""
        link = self._pages.read(scanned)
        forms = _forms(scanned, link)
        if not forms:
            return Recognition((), 1.0)
        told = next((form for form in forms if form.postal_code or form.country), forms[0])
        fits = self._fits(forms)
        country = told.country or _labelled_country(fits)
        past = history or History()
        asked = destination or country
        prior = self._priors.of(past, origin, asked)
        known = past.by_carrier()
        named = (link.page_of | link.host_of) if link else frozenset()
        guess = _Fit(forms[0].key, max(one.likely * of_unknown(one.key) for one in forms))
        for code in known.keys() | named:
            carrier = self._carriers.get(code)
            if carrier is None or not carrier.manifest.formats or code in named:
                fits.setdefault(code, guess)
        weights = {
            code: prior.get(code, 0.0) * fit.likely * _of_link(code, link)
            for code, fit in fits.items()
        }
        rest = sum(one for code, one in prior.items() if self._formless(code) and code not in fits)
        others = rest * guess.likely * (OFF_HOST if named else 1.0)
        total = sum(weights.values()) + others
        told_by = _Facts(origin, asked, past, link)
        shares = {code: weight / total for code, weight in weights.items()}
        likely = [code for code, share in shares.items() if share >= FEWEST]
        shared = sum(fits[code].form is not None for code in likely) > 1
        most = MOST_SHARED if shared else MOST_CERTAIN
        candidates = [
            self._candidate(code, fits[code], min(shares[code], most), told_by) for code in likely
        ]
        candidates.sort(key=lambda one: (-one.probability, one.carrier_code))
        left = max(0.0, 1 - sum(one.probability for one in candidates))
        return Recognition(tuple(candidates), left, told.postal_code, country)

    def _formless(self, code: str) -> bool:
        """Whether nothing is known of the numbers: of nobody we know (``""``) neither."""
        carrier = self._carriers.get(code)
        return carrier is None or not carrier.manifest.formats

    def _fits(self, forms: tuple[Form, ...]) -> dict[str, _Fit]:
        """How the number looks as one of each carrier that has numbers like it."""
        found: dict[str, _Fit] = {}
        for one in forms:
            for code, form in self._by_length.get(min(len(one.key), LONGEST), ()):
                if form.fits(one.key):
                    fit = _Fit(one.key, one.likely * of_format(form, one.key), form)
                    found[code] = max(found.get(code, fit), fit, key=_likely)
        return found

    def _candidate(self, code: str, fit: _Fit, probability: float, facts: "_Facts") -> Candidate:
        carrier = self._carriers.get(code)
        return Candidate(
            carrier_code=code,
            carrier_name=carrier.manifest.name if carrier else code,
            number=fit.number,
            probability=round(probability, 4),
            check=fit.check,
            check_name=fit.form.check if fit.form else "",
            reasons=tuple(facts.reasons(carrier, code, fit)),
        )


@dataclass(frozen=True, slots=True)
class _Facts:
    """What was known besides the number."""

    origin: str
    destination: str
    past: History
    link: Pasted | None

    def reasons(self, carrier: Carrier | None, code: str, fit: _Fit) -> Iterator[str]:
        """Why the carrier is as likely as it is, in sentences for people."""
        if self.link and code in self.link.page_of:
            yield "the link is one of its tracking pages"
        elif self.link and code in self.link.host_of:
            yield "the link leads to its site"
        if fit.form is None:
            yield "the form of its numbers is not known"
        else:
            sure = "" if fit.form.confidence == "documented" else f" ({fit.form.confidence})"
            yield f"{len(fit.key)} characters in a form of its numbers{sure}"
            if fit.check != "none":
                yield f"the check digit {'holds' if fit.check == 'holds' else 'is wrong'}"
        if carrier is not None:
            yield from self._countries(carrier)
        yield from self._past(code)

    def _countries(self, carrier: Carrier) -> Iterator[str]:
        manifest = carrier.manifest
        if self.destination:
            if self.destination in manifest.countries:
                yield f"it is at home in {self.destination}"
            elif manifest.delivers_abroad:
                yield "it delivers anywhere"
            elif self.origin in manifest.countries:
                yield f"it is at home in {self.origin}, where the parcel comes from"
            else:
                yield f"it is not at home in {self.destination}"

    def _past(self, code: str) -> Iterator[str]:
        for country in (self.destination, ""):
            parcels = self.past.by_carrier(country)
            if parcels.get(code):
                share = parcels[code] / sum(parcels.values())
                where = f" to {country}" if country else ""
                yield f"{share:.0%} of the account's latest parcels{where} went with it"
                return


def _forms(scanned: str, link: Pasted | None) -> tuple[Form, ...]:
    if link is None:
        return forms_of(scanned)
    forms = dict.fromkeys(form for number in link.numbers for form in forms_of(number))
    return tuple(
        replace(
            form,
            postal_code=form.postal_code or link.postal_code,
            country=form.country or link.country,
        )
        for form in forms
    )


def _labelled_country(fits: Mapping[str, _Fit]) -> str:
    """The recipient's country, where a label's form has it."""
    told = (fit.form.part(fit.key, "country") for fit in fits.values() if fit.form)
    return next((country_of(one) for one in told if one), "")


def _of_link(code: str, link: Pasted | None) -> float:
    if link is None or not link.host_of:
        return 1.0
    if code in link.page_of:
        return 1.0
    return OFF_PAGE if code in link.host_of else OFF_HOST


def _likely(fit: _Fit) -> float:
    return fit.likely
