"""What an answer of La Poste's Suivi v2 says: one shipment, or a list with one entry a number."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
    Refused,
    ServicePoint,
    related,
)
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.platforms.refusals import WAIT_AFTER_REFUSAL, credential_refused
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase

ANSWERED = frozenset({"200", "207"})
# 104 is what the same service says of an unknown number where it serves La Poste's own page.
UNKNOWN = frozenset({"400", "404", "104"})
LAST_STEP = "5"
"""The step of the timeline at which a shipment is delivered."""


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What La Poste knows about ``item``."""
    entry = _entry_of(document, item)
    code = entry.text("returnCode")
    if code not in ANSWERED:
        return _refusal(code)
    shipment = entry.child("shipment")
    events = list(shipment.items("event", at_most=MOST_EVENTS))
    if not events:
        return NotFound()
    partner = shipment.child("contextData", "partner")
    reference = partner.text("reference")
    return Found(
        scans=tuple(_scans(manifest, shipment, events)),
        complete=True,
        estimate=_estimate(manifest, shipment),
        service=shipment.text("product"),
        service_point=ServicePoint(_removal_point(shipment)),
        related_numbers=related("last_mile", [reference], item.number, partner.text("name")),
        raw=entry.as_json(),
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """La Poste's own "unknown" or "not a number", which repeats the status."""
    code = _entry_of(document, item).text("returnCode")
    if code not in UNKNOWN:
        raise CarrierParseError(f"refused with {code or 'no code'}")
    return NotFound()


def _refusal(code: str) -> Outcome:
    """What a number's own code says, be it alone or beside others that were answered."""
    if code in UNKNOWN:
        return NotFound()
    match code:
        case "401" | "403":
            return credential_refused(f"the key was refused with {code}")
        case "429":
            return Refused(WAIT_AFTER_REFUSAL, "too many questions (429)")
    return Broken(f"La Poste's code {code or 'is missing'}", lane_wide=False)


def _entry_of(document: Tree, item: Item) -> Tree:
    """The entry that is meant. An unknown number is not always repeated."""
    wanted = number_key(item.number)
    named: list[Tree] = []
    unnamed: list[Tree] = []
    for entry in document.items():
        number = number_key(entry.text("shipment", "idShip") or entry.text("idShip"))
        if number == wanted:
            named.append(entry)
        elif not number and entry.text("returnCode") not in ANSWERED:
            unnamed.append(entry)
    # Of two about one number the one that was answered counts.
    told = sorted(named, key=lambda entry: entry.text("returnCode") not in ANSWERED) or unnamed
    if not told:
        raise CarrierParseError("no entry has the number we asked for")
    return told[0]


def _scans(manifest: Manifest, shipment: Tree, events: list[Tree]) -> Iterator[Scan]:
    timed = in_order(events, partial(_moment, manifest), newest_first=True)
    for position, (moment, event) in enumerate(timed):
        code, label = event.text("code"), event.text("label")
        scan_class, reading = manifest.classify(code, label)
        waits = reading.phase is Phase.PUP
        yield Scan(
            scan_class=scan_class,
            raw_code=code,
            raw_text=label,
            moment=moment,
            reading=reading,
            # The point is told of the whole shipment; what happened elsewhere has no place.
            place=Place(depot=_removal_point(shipment)) if waits else Place(),
            position=position,
            raw_fields={"clamped": "true"} if is_clamped(moment) else {},
            mapping_version=manifest.mapping_version,
        )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    home = manifest.home_zone
    return read_moment(event.needed_text("date"), Zone(home, ZoneSource.ASSUMED), home, previous)


def _removal_point(shipment: Tree) -> str:
    return shipment.text("contextData", "removalPoint", "name")


def _estimate(manifest: Manifest, shipment: Tree) -> DeliveryEstimate | None:
    """The day a shipment that has not ended is expected: stated, or that of the step ahead."""
    if shipment.flag("isFinal"):
        return None
    told = shipment.text("estimDate") or next(
        (
            step.text("date")
            for step in shipment.items("timeline")
            if step.text("id") == LAST_STEP and not step.flag("status")
        ),
        "",
    )
    if not told:
        return None
    home = manifest.home_zone
    moment = read_moment(told, Zone(home, ZoneSource.ASSUMED), home)
    return DeliveryEstimate(day=datetime.fromisoformat(moment.home_minute[:10]).date())
