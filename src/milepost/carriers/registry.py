"""The catalogue: carriers are found in their folders, nobody lists them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import Literal, cast
from urllib.parse import quote

from milepost.carriers.changes import ReadsChanges
from milepost.carriers.connector import Connector, Credential, Found
from milepost.carriers.manifest import Manifest, read_manifest
from milepost.carriers.push import PushReader
from milepost.carriers.rereading import (
    Reread,
    RereadsEvents,
    by_text,
    is_own_form,
    of_file,
)
from milepost.errors import ConfigurationError
from milepost.tracking.events import Wording
from milepost.tracking.parcel import Notice, number_key
from milepost.tracking.vocabulary import Reading

PACKAGE = "milepost.catalogue"
Quality = Literal["recognised", "linked", "sampled"]


@dataclass(frozen=True)
class Carrier:
    """A carrier of the catalogue: its manifest and, where we can ask it, its connector.

    ``answering`` is the carrier that is asked in its place: with that one's login and quota, and
    through its connector. Code, name, numbers and pages stay its own.
    """

    manifest: Manifest
    folder: Path
    package: str = PACKAGE
    answering: "Carrier | None" = None

    @property
    def asked(self) -> "Carrier":
        """The carrier that is asked: itself, where no other answers for it."""
        return self.answering or self

    @cached_property
    def can_be_asked(self) -> bool:
        """Whether there is a connector; without one a parcel is ``not_supported``."""
        return (self.asked.folder / "connector.py").is_file()

    @property
    def needs_credential(self) -> bool:
        """Whether it can be asked, and by nobody without a credential."""
        return self.can_be_asked and self.asked.manifest.needs_credential

    @property
    def quality(self) -> Quality:
        """What the catalogue has of it: answers to read, a page to lead to, or little more than
        the code. Whether asking it works here is no matter of the catalogue."""
        if self.can_be_asked:
            return "sampled"
        return "linked" if self.manifest.tracking_pages else "recognised"

    def connector(self) -> Connector | None:
        """The connector (one per process), None for a carrier that can't be asked."""
        return self.asked._connector

    @cached_property
    def _connector(self) -> Connector | None:
        if not self.can_be_asked:
            return None
        module = import_module(f"{self.package}.{self.folder.name}.connector")
        build = cast(Callable[[Manifest], Connector], module.build)
        return build(self.manifest)

    @cached_property
    def _reread(self) -> Reread:
        connector = self._connector
        own = connector.reread if isinstance(connector, RereadsEvents) else None
        return own or by_text(self.manifest)

    def reread(self, told: Wording) -> Reading | None:
        """What an event it told means by today's rules; None for a carrier that can't be asked."""
        if told.source == "file" or is_own_form(told):
            return of_file(self.asked.manifest, told)
        return self.asked._reread(told) if self.can_be_asked else None

    @cached_property
    def _push_reader(self) -> PushReader:
        module = import_module(f"{self.package}.{self.folder.name}.push")
        return cast(PushReader, module.read_push)

    def read_push(self, body: bytes, headers: Mapping[str, str]) -> list[tuple[str, Found]]:
        """What a payload it pushed says, by number; nothing where it is about no parcel.

        Pure. Raises CarrierParseError where its shape is not one we know, ConfigurationError for a
        carrier that does not push.
        """
        if self.manifest.push is None:
            raise ConfigurationError(f"{self.manifest.name} does not push")
        return self._push_reader(self.manifest, body, headers)

    def read_fed(self, body: bytes, headers: Mapping[str, str]) -> list[tuple[str, Found]]:
        """What one entry of its feed of changes says, as ``read_push``."""
        return self.changes_reader.read_change(self.manifest, body, headers)

    @cached_property
    def changes_reader(self) -> ReadsChanges:
        """What asks its feed of changes. ConfigurationError for a carrier that has none."""
        if self.manifest.changes is None:
            raise ConfigurationError(f"{self.manifest.name} has no feed of changes")
        module = import_module(f"{self.package}.{self.folder.name}.changes")
        return cast(ReadsChanges, module)

    def asking_with(self, credential: Credential) -> Credential:
        """The credential with what the answering carrier is to be told besides."""
        further = self.manifest.ask_with
        if not further:
            return credential
        return replace(credential, fields={**credential.fields, **further})

    def number_notice(self, number: str) -> Notice | None:
        """A warning when ``number`` is unlike this carrier's numbers; it is tracked anyway.

        Forms that nobody confirmed warn of nothing.
        """
        key = number_key(number)
        alike = [form for form in self.manifest.formats if form.fits(key)]
        doubted = any(form.confidence == "assumed" for form in alike or self.manifest.formats)
        if not self.manifest.formats or doubted or any(form.checks(key) for form in alike):
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
            served = not page.countries or known["CC"] in page.countries
            names = placeholders(page.url)
            if served and all(known.get(name) for name in names):
                safe = {name: quote(known[name], safe="") for name in names}
                return page.url.format_map(safe)
        return ""


class Catalogue:
    """All carriers by code."""

    def __init__(self, carriers: Mapping[str, Carrier]) -> None:
        self._carriers = MappingProxyType(dict(sorted(carriers.items())))

    @classmethod
    def load(cls, folder: Path | None = None, package: str = PACKAGE) -> "Catalogue":
        """Read every folder that has a manifest; ConfigurationError for one that is not right.

        Connectors and the rules of statuses are left for whoever needs them first.
        """
        found = {}
        for path in sorted((folder or catalogue_folder()).glob("*/manifest.toml")):
            manifest = read_manifest(path)
            if manifest.code != path.parent.name:
                raise ConfigurationError(f"{path}: code {manifest.code!r} is not the folder's name")
            found[manifest.code] = Carrier(manifest, path.parent, package)
        return cls({code: _answered(carrier, found) for code, carrier in found.items()})

    def get(self, code: str) -> Carrier | None:
        """The carrier with this code."""
        return self._carriers.get(code)

    def asked_code(self, code: str) -> str:
        """The code of the carrier that is asked for ``code``: whose quota and login it takes."""
        carrier = self.get(code)
        return code if carrier is None else carrier.asked.manifest.code

    def codes_asked_as(self, code: str) -> tuple[str, ...]:
        """Every code that is asked with the login and quota of ``code``, itself included."""
        return tuple(one for one in self._carriers if self.asked_code(one) == code)

    def __iter__(self) -> Iterator[Carrier]:
        """All carriers, by code."""
        return iter(self._carriers.values())

    def __len__(self) -> int:
        """How many carriers there are."""
        return len(self._carriers)


def _answered(carrier: Carrier, found: Mapping[str, Carrier]) -> Carrier:
    code = carrier.manifest.answered_by
    if not code:
        return carrier
    answering = found.get(code)
    if answering is None or answering.manifest.answered_by:
        where = carrier.folder / "manifest.toml"
        raise ConfigurationError(f"{where}: answered_by: {code!r} is no carrier that answers")
    return replace(carrier, answering=answering)


@cache
def placeholders(template: str) -> frozenset[str]:
    """The names in the braces of a tracking page."""
    # There are few pages, and a parcel's is made each time the parcel is told.
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def catalogue_folder() -> Path:
    """Where the carriers' folders lie."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("the carrier catalogue is not installed")
    return Path(next(iter(spec.submodule_search_locations)))
