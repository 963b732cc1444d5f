"""Reading once more what is kept of an event: its code, its words and its further fields.

A connector whose readings depend on nothing but code and text needs nothing of this. Any other
brings its own ``reread``, and keeps in ``raw_fields`` whatever that looks at.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from milepost.carriers.manifest import Manifest
from milepost.tracking.events import Wording
from milepost.tracking.vocabulary import Reading

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
