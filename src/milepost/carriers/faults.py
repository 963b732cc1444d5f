"""What is wrong with a carrier's folder, beyond what reading its manifest tells at once."""

import re
from collections import Counter
from collections.abc import Iterator

from milepost.carriers.manifest import Manifest
from milepost.carriers.registry import Carrier, placeholders
from milepost.errors import ConfigurationError
from milepost.tracking.parcel import number_key

_KNOWN = {"n", "pc", "lang", "cc", "CC"}


def faults_of(carrier: Carrier) -> list[str]:
    """Every fault, in words; nothing where all is right."""
    return [*_formats(carrier), *_pages(carrier), *_asking(carrier), *_rules(carrier)]


def _formats(carrier: Carrier) -> Iterator[str]:
    manifest = carrier.manifest
    for form in manifest.formats:
        try:
            re.compile(form.pattern)
        except re.error as error:
            yield f"the pattern {form.pattern} can't be read: {error}"
            return
    for number in manifest.test_numbers:
        if manifest.formats and not any(_checks_of(manifest, number)):
            yield f"the test number {number} fits no format, or its check fails"
    for number in manifest.invalid_numbers:
        held = _checks_of(manifest, number)
        if not held or any(held):
            yield f"the invalid number {number} fits no format, or its check holds"


def _checks_of(manifest: Manifest, number: str) -> list[bool]:
    """Whether the check holds, for each format that the number has."""
    key = number_key(number)
    return [form.checks(key) for form in manifest.formats if form.fits(key)]


def _pages(carrier: Carrier) -> Iterator[str]:
    for page in carrier.manifest.tracking_pages:
        if not page.url.startswith("https://"):
            yield f"the page {page.url} is not https"
        named = placeholders(page.url)
        if "n" not in named or named - _KNOWN:
            yield f"the page {page.url} must name {{n}}, and may name {', '.join(sorted(_KNOWN))}"


def _asking(carrier: Carrier) -> Iterator[str]:
    manifest, asked = carrier.manifest, carrier.asked.manifest
    unknown = manifest.ask_with.keys() - {field.name for field in asked.credential}
    if unknown:
        yield f"{asked.code} has no credential field {', '.join(sorted(unknown))}"
    if carrier.answering is not None and (manifest.api or manifest.credential):
        yield f"it is {asked.code} that is asked: api and credential are there"
    if carrier.can_be_asked and not (asked.api and asked.api.base_url.startswith("https://")):
        yield "where it is asked (api.base_url) is missing, or is not https"


def _rules(carrier: Carrier) -> Iterator[str]:
    try:
        codes = [rule.raw for rule in carrier.manifest.rules.status]
        names = [rule.id for rule in carrier.manifest.rules.wording]
    except ConfigurationError as error:
        yield str(error)
        return
    for told in (codes, names):
        for twice, count in Counter(told).items():
            if count > 1:
                yield f"there are {count} rules for {twice}"
