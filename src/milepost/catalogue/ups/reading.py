"""What an answer of UPS's Track API says."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    NumberKind,
    Outcome,
    RelatedNumber,
    related,
)
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_printed
from milepost.carriers.zones import Zone, zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, Wording
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import UNREAD, ExceptionCode, Reading

NOT_FOUND = {"TW0001", "TV1002"}
"""Warnings and errors that mean: no such number."""
# The day a delivery was moved to goes before the day that was first planned.
_PLANNED = ("RDD", "SDD")
_WINDOWS = {"EDW", "CDW", "IDW"}


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What UPS knows about ``item``."""
    shipments = list(document.items("trackResponse", "shipment"))
    packages = [package for one in shipments for package in one.items("package")]
    codes = {one.text("code") for shipment in shipments for one in shipment.items("warnings")}
    if codes & NOT_FOUND and not packages:
        return NotFound()
    package = _package_of(shipments, item)
    number = package.text("trackingNumber") or item.number
    activities = list(package.items("activity", at_most=MOST_EVENTS))
    scans = tuple(scans_of(manifest, activities))
    if not scans:
        return NotFound()
    return Found(
        scans=scans,
        complete=True,
        estimate=_estimate(manifest, package),
        signed_by=package.text("deliveryInformation", "receivedBy"),
        service=package.text("service", "description"),
        related_numbers=(
            *_related(package, item),
            *related("piece", (one.text("trackingNumber") for one in packages), number),
        ),
        held_until=_held_until(manifest, package),
        raw_type="application/json" if len(packages) == 1 else "",
    )


def _related(package: Tree, item: Item) -> Iterator[RelatedNumber]:
    """Of other carriers UPS hands over to, only the postal service's numbers have a known kind."""
    for one in package.items("alternateTrackingNumber"):
        postal = one.text("type").startswith("USPS")
        kind: NumberKind = "last_mile" if postal else "other"
        yield from related(kind, [one.text("number")], item.number, "USPS" if postal else "")


def not_found(document: Tree, item: Item) -> Outcome:
    """UPS's own "no such number"; any other refusal is a fault."""
    codes = {error.text("code") for error in document.items("response", "errors")}
    if codes & NOT_FOUND:
        return NotFound()
    raise CarrierParseError(f"refused with {', '.join(sorted(codes)) or 'no code'}")


def _package_of(shipments: list[Tree], item: Item) -> Tree:
    """The package that is meant: a shipment is asked for by any of its numbers."""
    wanted = number_key(item.number)
    alone: list[Tree] = []
    for shipment in shipments:
        packages = list(shipment.items("package"))
        for package in packages:
            if number_key(package.text("trackingNumber")) == wanted:
                return package
        if number_key(shipment.text("inquiryNumber")) == wanted:
            alone += packages
    if len(alone) != 1:
        raise CarrierParseError(f"{len(alone)} packages for the number we asked for")
    return alone[0]


def scans_of(manifest: Manifest, activities: list[Tree]) -> Iterator[Scan]:
    """The activities from the oldest to the newest; UPS tells the newest first."""
    timed = in_order(activities, partial(_moment, manifest), newest_first=True)
    for position, (moment, activity) in enumerate(timed):
        yield _scan(manifest, activity, moment, position)


def _scan(manifest: Manifest, activity: Tree, moment: Moment, position: int) -> Scan:
    status = activity.child("status")
    code, state, kind = (status.text(name) for name in ("code", "statusCode", "type"))
    fields = {
        "state": state,
        "kind": kind,
        "facility": activity.text("location", "slic"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=code or state or kind or "uncoded",
        raw_code=code or state or kind,
        raw_text=status.text("description"),
        moment=moment,
        reading=_reading(manifest, code, state, kind),
        place=_place(activity.child("location", "address")),
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules. Its state or kind stands for a code that lacks."""
    state, kind = (told.raw_fields.get(name, "") for name in ("state", "kind"))
    code = "" if told.raw_code in (state, kind) else told.raw_code
    return _reading(manifest, code, state, kind)


def _reading(manifest: Manifest, code: str, state: str, kind: str) -> Reading:
    """The event's own meaning, unless its state tells of trouble the event does not name."""
    fine, coarse = manifest.by_code.get(f"code:{code}"), manifest.by_code.get(state)
    if fine and not (coarse and coarse.reading.exception is not ExceptionCode.NONE):
        return fine.reading
    if coarse:
        return coarse.reading
    # UPS calls "loaded" and "out for delivery" kind D too: delivered is never read off it alone.
    last = manifest.by_code.get(f"type:{kind}") if kind != "D" or not (code or state) else None
    return last.reading if last else UNREAD


def _place(address: Tree) -> Place:
    return Place(
        city=address.text("city"),
        country_code=(address.text("countryCode") or address.text("country")).upper()[:2],
        postal_code=address.text("postalCode"),
    )


def _moment(manifest: Manifest, activity: Tree, previous: datetime | None) -> Moment:
    """The local time as printed; with UPS's own offset where newer answers give one."""
    place = _place(activity.child("location", "address"))
    stated = f"{activity.needed_text('date')} {activity.text('time')}".strip()
    zone = zone_of(place.country_code, place.postal_code, manifest.home_zone, place.city)
    read = partial(read_printed, zone=zone, home_zone=manifest.home_zone, previous=previous)
    if not activity.text("time"):
        return read(stated, "%Y%m%d")
    offset = activity.text("gmtOffset")
    if not offset:
        return read(stated, "%Y%m%d %H%M%S")
    return replace(read(f"{stated}{offset}", "%Y%m%d %H%M%S%z"), stated=stated)


def _estimate(manifest: Manifest, package: Tree) -> DeliveryEstimate | None:
    """The planned day, and the window where UPS gives one; local time of the destination."""
    told = {one.text("type"): one.text("date") for one in package.items("deliveryDate")}
    day = next((found for kind in _PLANNED if (found := _day(told.get(kind, "")))), None)
    if day is None:
        return None
    time = package.child("deliveryTime")
    if time.text("type") not in _WINDOWS:
        return DeliveryEstimate(day)
    ends = (time.text(name) for name in ("startTime", "endTime"))
    earliest, latest = (_at(manifest, package, day, end) for end in ends)
    return DeliveryEstimate(day, earliest, latest)


def _at(manifest: Manifest, package: Tree, day: date, time: str) -> datetime | None:
    try:
        return read_printed(
            f"{day:%Y%m%d} {time}",
            "%Y%m%d %H%M%S",
            _zone_of_destination(manifest, package),
            manifest.home_zone,
        ).instant
    except CarrierParseError:
        # A window without a readable end is still a day.
        return None


def _zone_of_destination(manifest: Manifest, package: Tree) -> Zone:
    target = next(
        (
            _place(one.child("address"))
            for one in package.items("packageAddress")
            if one.text("type") == "DESTINATION"
        ),
        Place(),
    )
    return zone_of(target.country_code, target.postal_code, manifest.home_zone, target.city)


def _held_until(manifest: Manifest, package: Tree) -> datetime | None:
    """The end of the last day on which the access point hands it out, which UPS tells as a text."""
    day = _day(package.text("accessPointInformation", "pickupByDate"))
    if day is None:
        return None
    zone = _zone_of_destination(manifest, package)
    return read_printed(f"{day:%Y%m%d}", "%Y%m%d", zone, manifest.home_zone).instant


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
