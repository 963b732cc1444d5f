"""Which events a subscription wants."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from milepost.tracking.journey import Entry


@dataclass(frozen=True, slots=True)
class Filter:
    """What an event must be. An empty set asks nothing; all that is asked must hold.

    ``status_changes``: only what gives the parcel another status than the event before it.
    """

    phases: frozenset[str] = frozenset()
    exceptions: frozenset[str] = frozenset()
    carriers: frozenset[str] = frozenset()
    status_changes: bool = False

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Filter":
        """As it is kept: lists of words by ``phases``, ``exceptions`` and ``carriers``."""
        return cls(
            phases=frozenset(document.get("phases") or ()),
            exceptions=frozenset(document.get("exceptions") or ()),
            carriers=frozenset(document.get("carriers") or ()),
            status_changes=bool(document.get("status_changes")),
        )

    def wants(self, carrier_code: str, entry: Entry, changes_status: bool) -> bool:
        """Whether an event is wanted, by what it is served as.

        ``carrier_code`` is the parcel's. What no carrier told counts as that one's; of a parcel
        that was handed on the other one's events do as well.
        """
        carriers = {carrier_code, entry.event.carrier_code}
        return (
            (not self.phases or entry.shown.phase in self.phases)
            and (not self.exceptions or entry.shown.exception in self.exceptions)
            and (not self.carriers or not self.carriers.isdisjoint(carriers))
            and (changes_status or not self.status_changes)
        )
