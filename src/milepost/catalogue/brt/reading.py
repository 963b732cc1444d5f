"""What BRT tells of a shipment: its events, and when it should be there."""

from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import DeliveryEstimate
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_printed
from milepost.carriers.zones import Zone
from milepost.tracking.events import Moment, Place, Scan, ZoneSource

CLOCK = ("%H", "%M", "%S")
LONGEST_CODE = 80


def scans_of(manifest: Manifest, entries: list[Tree]) -> tuple[Scan, ...]:
    """The events from the oldest to the newest. The list is filled up with empty ones."""
    events = [entry.child("evento") for entry in entries]
    told = [event for event in events if event.text("data")]
    timed = in_order(told, partial(_moment, manifest), newest_first=True)
    return tuple(
        _scan(manifest, event, moment, position) for position, (moment, event) in enumerate(timed)
    )


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code, words = event.text("id"), event.text("descrizione")
    scan_class, reading = manifest.classify_by_code(code, words)
    return Scan(
        scan_class=scan_class,
        # Without a code the words are one, for what collects codes that nobody mapped.
        raw_code=code or words[:LONGEST_CODE],
        raw_text=words,
        moment=moment,
        reading=reading,
        place=Place(depot=event.text("filiale")),
        position=position,
        raw_fields={"clamped": "true"} if is_clamped(moment) else {},
        mapping_version=manifest.mapping_version,
    )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    return _printed(manifest, event.needed_text("data"), event.text("ora"), previous)


def estimate_of(manifest: Manifest, delivery: Tree) -> DeliveryEstimate | None:
    """The day BRT reckons with, and its hours. The day somebody asked for is no promise of BRT."""
    day = delivery.text("data_teorica_consegna")
    if not day:
        return None
    hours = (delivery.text(f"ora_teorica_consegna_{end}") for end in ("da", "a"))
    earliest, latest = (
        _printed(manifest, day, hour, None).instant if hour else None for hour in hours
    )
    told = _printed(manifest, day, "", None).home_minute
    return DeliveryEstimate(datetime.fromisoformat(told).date(), earliest, latest)


def _printed(manifest: Manifest, day: str, hour: str, previous: datetime | None) -> Moment:
    """A day, and a time where there is one. The programs we know the form from take several marks
    between the numbers, so all of these are read."""
    home = manifest.home_zone
    form = _day_form(day)
    if hour:
        mark = ":" if ":" in hour else "."
        form = f"{form} {mark.join(CLOCK[: hour.count(mark) + 1])}"
    stated = f"{day} {hour}".strip()
    # Depots are told by name; those of partners abroad are told the same way.
    return read_printed(stated, form, Zone(home, ZoneSource.ASSUMED), home, previous)


def _day_form(day: str) -> str:
    if day[4:5] == "-":
        return "%Y-%m-%d"
    mark = next((mark for mark in "/-" if mark in day), ".")
    return mark.join(("%d", "%m", "%Y"))
