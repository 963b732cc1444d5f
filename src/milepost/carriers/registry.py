"""The catalogue: carriers are found in their folders, nobody lists them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import cast
from urllib.parse import quote

from milepost.carriers.checksums import CHECKS
from milepost.carriers.connector import Connector
from milepost.carriers.manifest import Manifest, read_manifest
from milepost.errors import ConfigurationError
from milepost.tracking.parcel import Notice, number_key

PACKAGE = "milepost.catalogue"


@dataclass(frozen=True)
class Carrier:
    """A carrier of the catalogue: its manifest and, where we can ask it, its connector."""

    manifest: Manifest
    folder: Path
    package: str = PACKAGE

    @property
    def can_be_asked(self) -> bool:
        """Whether there is a connector; without one a parcel is ``not_supported``."""
        return (self.folder / "connector.py").is_file()

    def connector(self) -> Connector | None:
        """The connector (one per process), None for a carrier we only recognise."""
        return self._connector

    @cached_property
    def _connector(self) -> Connector | None:
        if not self.can_be_asked:
            return None
        module = import_module(f"{self.package}.{self.folder.name}.connector")
        build = cast(Callable[[Manifest], Connector], module.build)
        return build(self.manifest)

    def number_notice(self, number: str) -> Notice | None:
        """A warning when ``number`` is unlike this carrier's numbers; it is tracked anyway."""
        key = number_key(number)
        alike = [form for form in self.manifest.formats if form.pattern.fullmatch(key)]
        if not self.manifest.formats or any(
            not form.check or CHECKS[form.check](key) for form in alike
        ):
            return None
        if alike:
            return Notice(
                "check_digit",
                f"The check digit of this {self.manifest.name} number is wrong, is it mistyped? "
                "It is tracked as it stands.",
            )
        return Notice(
            "number_format",
            f"This number does not look like one of {self.manifest.name}. "
            "It is tracked as it stands.",
        )

    def tracking_url(
        self, number: str, postal_code: str = "", language: str = "", country: str = ""
    ) -> str:
        """The carrier's public page of this parcel, ``""`` where there is none to be made."""
        known = {
            "n": number_key(number),
            "pc": number_key(postal_code),
            "lang": language.lower()[:2] or "en",
            "cc": country.lower(),
            "CC": country.upper(),
        }
        for page in self.manifest.tracking_pages:
            if all(known.get(name) for name in _placeholders(page)):
                return page.format_map({name: quote(text, safe="") for name, text in known.items()})
        return ""


class Catalogue:
    """All carriers by code. ``get`` also finds one by an alias of its manifest."""

    def __init__(self, carriers: Mapping[str, Carrier]) -> None:
        self._carriers = MappingProxyType(dict(sorted(carriers.items())))
        self._by_alias = {
            alias: carrier for carrier in carriers.values() for alias in carrier.manifest.aliases
        }

    @classmethod
    def load(cls, folder: Path | None = None, package: str = PACKAGE) -> "Catalogue":
        """Read every folder that has a manifest; ConfigurationError for one that is not right."""
        carriers = {}
        for path in sorted((folder or _catalogue_folder()).glob("*/manifest.toml")):
            manifest = read_manifest(path)
            if manifest.code != path.parent.name:
                raise ConfigurationError(f"{path}: code {manifest.code!r} is not the folder's name")
            carriers[manifest.code] = Carrier(manifest, path.parent, package)
        return cls(carriers)

    def get(self, code: str) -> Carrier | None:
        """The carrier with this code or alias."""
        return self._carriers.get(code) or self._by_alias.get(code)

    def __iter__(self) -> Iterator[Carrier]:
        """All carriers, by code."""
        return iter(self._carriers.values())

    def __len__(self) -> int:
        """How many carriers there are."""
        return len(self._carriers)


def _placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _catalogue_folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("the carrier catalogue is not installed")
    return Path(next(iter(spec.submodule_search_locations)))
