"""Reading once more what is kept of an event: its code, its words and its further fields.

A connector whose readings depend on nothing but code and text needs nothing of this. Any other
brings its own ``reread``, and keeps in ``raw_fields`` whatever that looks at.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from milepost.carriers.file_form import told_reading
from milepost.carriers.manifest import Manifest
from milepost.carriers.push import OWN_FORM
from milepost.carriers.transport_status import FORM, TransportStatus, read_status
from milepost.tracking.events import Wording
from milepost.tracking.vocabulary import UNREAD, Reading

Reread = Callable[[Wording], Reading]
"""What the connector would read today in an event it told then. Pure."""


@runtime_checkable
class RereadsEvents(Protocol):
    """A connector that says how; None where code and text say all."""

    reread: Reread | None


def by_text(manifest: Manifest) -> Reread:
    """For carriers whose words are finer than their codes, or that have no rules for words."""
    return lambda told: manifest.classify(told.raw_code, told.raw_text)[1]


def by_code(manifest: Manifest) -> Reread:
    """For carriers whose codes are finer than their words."""
    return lambda told: manifest.classify_by_code(told.raw_code, told.raw_text)[1]


def is_own_form(told: Wording) -> bool:
    """Whether it was pushed in our own form, which is read as a row of a file is."""
    return told.raw_fields.get("form") == OWN_FORM["form"]


def of_file(manifest: Manifest, told: Wording) -> Reading:
    """For what a file told: a transport status by its own rules, a row's own words where its code
    says nothing."""
    if told.raw_fields.get("form") == FORM:
        status = TransportStatus.of_fields(told.raw_fields)
        return read_status(manifest, status, told.raw_text).reading
    reading = manifest.classify(told.raw_code, told.raw_text)[1]
    return (told_reading(told.raw_fields) or reading) if reading == UNREAD else reading
