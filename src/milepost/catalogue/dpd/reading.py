"""What an answer of DPD's ParcelLifeCycleService says."""

import re
from collections.abc import Iterator
from datetime import datetime

from milepost.carriers.answer_tree import MOST_EVENTS
from milepost.carriers.connector import Broken, Found, Item, NotFound, Outcome
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_printed
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.platforms.soap_xml import Fault
from milepost.carriers.xml_tree import XmlTree
from milepost.carriers.zones import zone_of
from milepost.tracking.events import Moment, Place, Scan

# A month first, and a clock of twelve hours.
_PRINTED = "%m/%d/%Y %I:%M:%S %p"
_PLACE = re.compile(r"(?P<city>.*?)\s*\((?P<country>[A-Z]{2})\)", re.ASCII)


def read(manifest: Manifest, body: XmlTree, item: Item) -> Outcome:
    """What DPD knows about ``item``; the answer does not repeat the number."""
    result = body.child("trackingresult")
    reached = [
        step
        for step in result.items("statusInfo", at_most=MOST_EVENTS)
        if step.flag("statusHasBeenReached")
    ]
    if not reached:
        return NotFound()
    service = result.child("shipmentInfo", "serviceDescription", "content")
    return Found(
        scans=tuple(_scans(manifest, reached)),
        complete=True,
        service=service.text("content"),
        raw_type="text/xml",
    )


def read_fault(fault: Fault, item: Item) -> Outcome:
    """DPD refuses a login with a fault of its own; every other one is this parcel's."""
    if is_refusal(fault):
        return credential_refused(f"DPD refused the login: {fault.code}")
    return Broken(f"DPD's fault: {fault.code or 'no code'}", lane_wide=not fault.detail)


def is_refusal(fault: Fault) -> bool:
    """Whether it is the login or its token that DPD does not take."""
    return fault.detail == "authenticationFault"


def _scans(manifest: Manifest, steps: list[XmlTree]) -> Iterator[Scan]:
    """The steps reached, by time: DPD lists them in no order. One second keeps the order told."""
    timed = [(_moment(manifest, step, None), step) for step in steps]
    timed.sort(key=lambda pair: pair[0].instant)
    previous: datetime | None = None
    for position, (_, step) in enumerate(timed):
        moment = _moment(manifest, step, previous)
        previous = moment.instant
        yield _scan(manifest, step, moment, position)


def _scan(manifest: Manifest, step: XmlTree, moment: Moment, position: int) -> Scan:
    code = step.needed_text("status")
    scan_class, reading = manifest.classify(code)
    fields = {
        "label": step.text("label", "content"),
        "current": "true" if step.flag("isCurrentStatus") else "",
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=step.text("description", "content", "content") or fields["label"],
        moment=moment,
        reading=reading,
        place=_place(step),
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def _place(step: XmlTree) -> Place:
    told = step.text("location", "content")
    match = _PLACE.fullmatch(told)
    return Place(city=match["city"], country_code=match["country"]) if match else Place(city=told)


def _moment(manifest: Manifest, step: XmlTree, previous: datetime | None) -> Moment:
    place = _place(step)
    zone = zone_of(place.country_code, "", manifest.home_zone, place.city)
    stated = step.child("date").needed_text("content")
    return read_printed(stated, _PRINTED, zone, manifest.home_zone, previous)
