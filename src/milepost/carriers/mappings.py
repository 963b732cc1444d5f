"""The operator's own mappings: what codes and wordings mean here, over the carriers' manifests.

A TOML file with a table per carrier code, in the form of a manifest's rules::

    [dpd]
    mapping_version = 1
    status = [{ raw = "X7", reading = ["in_transit", "none", "success", "none"] }]

``raw`` is the code as it is kept and as the inbox shows it, whatever name the carrier's manifest
has for it. A rule here goes before the carrier's own, and is for every code that the carrier
answers for. It never changes which scan an event is.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter

from milepost.carriers.registry import Catalogue
from milepost.carriers.status_rules import STRICT, Rules, StatusRule, WordingRule, read_tables
from milepost.errors import ConfigurationError
from milepost.tracking.events import Observation, Scan, Wording
from milepost.tracking.rereading import Read
from milepost.tracking.vocabulary import UNREAD, EventType, Reading

OWN = 1_000
"""A version is the manifest's and, in thousands, the operator's where that one's rule was taken."""
MOST_VERSIONS = 1_000_000
SPOKEN = frozenset({"poll", "push", "file"})
"""Sources by which a carrier itself speaks."""


@dataclass(frozen=True, slots=True)
class _Table:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    mapping_version: Annotated[int, Field(ge=1, le=MOST_VERSIONS)]
    status: tuple[StatusRule, ...] = ()
    wording: tuple[WordingRule, ...] = ()


_ADAPTER = TypeAdapter(dict[str, _Table])


class Mappings:
    """What codes mean by today's rules: the operator's, then the catalogue's."""

    def __init__(self, catalogue: Catalogue, own: Mapping[str, _Table] | None = None) -> None:
        self._catalogue = catalogue
        self._own = {
            code: (Rules.of(table.status, table.wording), table.mapping_version)
            for code, table in (own or {}).items()
        }

    @classmethod
    def load(cls, path: Path | None, catalogue: Catalogue) -> "Mappings":
        """The rules in the operator's file; ConfigurationError names what is wrong with it."""
        if path is None:
            return cls(catalogue)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(f"{path} can't be read: {type(error).__name__}") from error
        try:
            tables: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{path}: {error}") from error
        for code in tables:
            carrier = catalogue.get(code)
            if carrier is None:
                raise ConfigurationError(f"{path}: no carrier has the code {code!r}")
            if carrier.answering is not None:
                asked = carrier.asked.manifest.code
                raise ConfigurationError(f"{path}: {code} is answered by {asked}: say {asked}")
        return cls(catalogue, read_tables(_ADAPTER, tables, str(path)))

    def asked_code(self, carrier_code: str) -> str:
        """Whose codes a carrier's events hold."""
        return self._catalogue.asked_code(carrier_code)

    def over(self, observation: Observation) -> Observation:
        """The observation with the operator's readings in it, where the carrier speaks."""
        if observation.source not in SPOKEN or not self._rules(observation.carrier_code):
            return observation
        scans = tuple(self._scan(observation.carrier_code, scan) for scan in observation.scans)
        return replace(observation, scans=scans)

    def read(self, carrier_code: str, told: Wording) -> tuple[Reading, int] | None:
        """What a kept telling means today, and by which version; None where nobody can say.

        What a carrier pushed in codes of its own is only read by its own reader: here it is taken
        up where that had no reading, or the operator's.
        """
        if told.source not in SPOKEN:
            return None
        own = self._by_operator(carrier_code, told)
        if own is not None:
            return own
        open_still = told.reading == UNREAD or told.mapping_version >= OWN
        if told.source == "push" and not open_still:
            return None
        carrier = self._catalogue.get(carrier_code)
        reading = None if carrier is None else carrier.reread(told)
        if carrier is None or reading is None:
            return None
        return reading, carrier.asked.manifest.mapping_version

    def only(self, codes: frozenset[str]) -> Read:
        """``read`` for the events of these carriers alone."""
        return lambda code, told: self.read(code, told) if code in codes else None

    def maps(self, carrier_code: str, raw_code: str) -> bool:
        """Whether a rule is for this very code, so that new events with it are read."""
        own = self._rules(carrier_code)
        if own and raw_code in own[0].by_code:
            return True
        carrier = self._catalogue.get(carrier_code)
        return carrier is not None and raw_code in carrier.asked.manifest.by_code

    def _rules(self, carrier_code: str) -> tuple[Rules, int] | None:
        return self._own.get(self.asked_code(carrier_code)) if self._own else None

    def _by_operator(self, carrier_code: str, told: Wording | Scan) -> tuple[Reading, int] | None:
        own = self._rules(carrier_code)
        if own is None:
            return None
        rules, version = own
        _, reading = rules.classify(told.raw_code, told.raw_text)
        if reading == UNREAD:
            return None
        carrier = self._catalogue.get(carrier_code)
        theirs = carrier.asked.manifest.mapping_version if carrier else 0
        return reading, OWN * version + theirs

    def _scan(self, carrier_code: str, scan: Scan) -> Scan:
        if scan.event_type is not EventType.CARRIER:
            return scan
        own = self._by_operator(carrier_code, scan)
        return scan if own is None else replace(scan, reading=own[0], mapping_version=own[1])
