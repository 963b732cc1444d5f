"""What a parcel must look like, from the set of everything told about it: the rules once more.

Written apart from the code it is compared with, and simpler: every scan of this world has a class
of its own, minutes never meet, and only a minute is ever corrected. Times are minutes since the
announcement; a scan is (class, minute).
"""

from collections import defaultdict
from dataclasses import dataclass, field

Scan = tuple[str, int]
HOUR, DAY = 60, 24 * 60
STATUS = {
    "announced": "ANNOUNCED",
    "accepted": "TO_SORTING",
    "in_transit": "SHIPMENT_ON_ROUTE",
    "in_delivery": "DRIVER_ON_ROUTE",
    "attempted": "DELIVERY_FAILED",
    "delivered": "DELIVERED",
}


@dataclass(frozen=True)
class Telling:
    """One answer of one source at one time: what each scan told was called (step and text)."""

    source: str
    at: int
    complete: bool
    scans: tuple[tuple[Scan, str, str], ...]


@dataclass
class Model:
    """Everything told about one parcel, in no order."""

    told: set[Telling] = field(default_factory=set)

    def _seen(self) -> dict[Scan, set[tuple[str, int, bool]]]:
        seen = defaultdict(set)
        for one in self.told:
            for scan, _, _ in one.scans:
                seen[scan].add((one.source, one.at, one.complete))
        return seen

    def scans(self) -> list[Scan]:
        """What stands: all that was told but what was corrected."""
        seen = self._seen()
        corrected: set[Scan] = set()
        rivals: dict[tuple[str, str, int], set[Scan]] = defaultdict(set)
        for old, sightings in seen.items():
            last = max(at for _, at, _ in sightings)
            for source in {source for source, _, _ in sightings}:
                later = [
                    first
                    for new in seen
                    if new[0] == old[0] and abs(new[1] - old[1]) <= DAY
                    if (first := _first_complete(seen[new], source)) and first > last
                ]
                if later:
                    rivals[source, old[0], min(later)].add(old)
        for olds in rivals.values():
            if len(olds) == 1:  # else nobody knows which one was corrected
                corrected |= olds
        return sorted(scan for scan in seen if scan not in corrected)

    def texts(self, scan: Scan) -> set[str]:
        """All the words used for a scan."""
        return {text for one in self.told for told, _, text in one.scans if told == scan}

    def status(self) -> str:
        """The fold over what stands, in the order it happened."""
        steps = {scan: step for one in self.told for scan, step, _ in one.scans}
        seen = self._seen()
        happened = {scan: min(scan[1], *(at for _, at, _ in seen[scan])) for scan in self.scans()}
        step, delivered_at = "announced", -1
        for scan in sorted(happened, key=lambda each: happened[each]):
            at, new = happened[scan], steps[scan]
            if delivered_at >= 0:
                since = at - delivered_at
                again = new == "accepted" and 3 * DAY <= since <= 30 * DAY
                reopened = new in ("in_delivery", "attempted") and since >= 2 * HOUR
                if new == "delivered":
                    delivered_at = at
                if not again and not reopened:
                    continue
            step, delivered_at = new, at if new == "delivered" else -1
        return STATUS[step]


def _first_complete(sightings: set[tuple[str, int, bool]], source: str) -> int:
    """When ``source`` first told a scan, if it ever did in a complete answer; else 0."""
    of_source = [(at, complete) for who, at, complete in sightings if who == source]
    return min(of_source)[0] if any(complete for _, complete in of_source) else 0
