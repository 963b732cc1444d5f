"""What an answer of ExpressConnect Tracking says: consignments, some with the same number."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
)
from milepost.carriers.localities import country_code
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_printed
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.xml_tree import XmlTree
from milepost.carriers.zones import Zone, zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import UNREAD, Phase

UNAUTHORIZED = "9000"
UNKNOWN_NUMBER = "CNF"
SUMMARY = "sum:"
_DAY, _MINUTE = "%Y%m%d", "%Y%m%d %H%M"
_AT_THE_RECEIVER = (Phase.IN_DELIVERY, Phase.ATTEMPTED, Phase.PUP, Phase.DELIVERED)
_BEFORE_SHIPPING = timedelta(days=7)
"""How much earlier than a parcel was shipped its consignment may have been collected."""


def read(manifest: Manifest, document: XmlTree, item: Item) -> Outcome:
    """What TNT knows about ``item``."""
    if document.name != "TrackResponse":
        raise CarrierParseError(f"the answer is called {document.name}")
    for error in document.items("Error"):
        code = error.text("Code") or "no code"
        if code == UNAUTHORIZED:
            return credential_refused("TNT refused the login")
        return Broken(f"TNT's error: {code}", lane_wide=False)
    wanted = number_key(item.number)
    told = [
        one
        for one in document.items("Consignment")
        if number_key(one.text("ConsignmentNumber")) == wanted
    ]
    if not told:
        raise CarrierParseError("no consignment has the number we asked for")
    known = [one for one in told if one.text("SummaryCode") != UNKNOWN_NUMBER]
    meant = _meant(known, item)
    scans = tuple(_scans(manifest, meant)) if meant else ()
    return _found(manifest, meant, scans) if meant and scans else NotFound()


def _meant(consignments: Sequence[XmlTree], item: Item) -> XmlTree | None:
    """The consignment that is meant: TNT uses its numbers again, and tells all that had one.

    It goes where the parcel goes and was collected last, not long before the parcel was shipped.
    """
    likely = [one for one in consignments if _goes_there(one, item) and not _too_old(one, item)]
    if not likely:
        return None
    collected = [one.text("CollectionDate") for one in likely]
    last = max(collected)
    if collected.count(last) > 1:
        raise CarrierParseError("two consignments of one day for the number we asked for")
    return likely[collected.index(last)]


def _goes_there(consignment: XmlTree, item: Item) -> bool:
    told, wanted = _country(consignment, "Destination"), item.destination_country.upper()
    return not (told and wanted) or told == wanted


def _too_old(consignment: XmlTree, item: Item) -> bool:
    collected = consignment.text("CollectionDate")
    if not collected or item.shipped_at is None:
        return False
    return collected < (item.shipped_at - _BEFORE_SHIPPING).strftime(_DAY)


def _country(consignment: XmlTree, which: str) -> str:
    return country_code(consignment.text(f"{which}Country", "CountryCode"))


def _found(manifest: Manifest, consignment: XmlTree, scans: tuple[Scan, ...]) -> Found:
    arrived = any(scan.reading.phase is Phase.DELIVERED for scan in scans)
    return Found(
        scans=scans,
        complete=any(consignment.items("StatusData")),
        estimate=None if arrived else _estimate(manifest, consignment),
        signed_by=consignment.text("Signatory") if arrived else "",
        service=consignment.text("ShipmentSummary", "Service"),
        raw=consignment.source(),
        raw_type="text/xml",
    )


def _estimate(manifest: Manifest, consignment: XmlTree) -> DeliveryEstimate | None:
    """The day the consignment is due."""
    stated = consignment.text("ShipmentSummary", "DueDate")
    if not stated:
        return None
    zone = _zone(manifest, _country(consignment, "Destination"))
    due = read_printed(stated, _DAY, zone, manifest.home_zone)
    return DeliveryEstimate(day=datetime.fromisoformat(due.home_minute).date())


def _scans(manifest: Manifest, consignment: XmlTree) -> Iterator[Scan]:
    """The events from the oldest to the newest; TNT tells the newest first.

    The delivery in the summary is a scan of its own where no event is told, or nobody knows what
    the newest says.
    """
    events = list(consignment.items("StatusData", at_most=MOST_EVENTS))
    countries = _countries(manifest, consignment, events)
    timed = in_order(events, partial(_moment, manifest, countries), newest_first=True)
    newest = None
    for position, (moment, event) in enumerate(timed):
        newest = _scan(manifest, event, moment, position)
        yield newest
    if newest is None or newest.reading == UNREAD:
        yield from _delivery(manifest, consignment, len(timed))


def _scan(manifest: Manifest, event: XmlTree, moment: Moment, position: int) -> Scan:
    code, text = event.needed_text("StatusCode"), event.text("StatusDescription")
    scan_class, reading = manifest.classify_by_code(code, text)
    fields = {"depot": event.text("Depot"), "clamped": "true" if is_clamped(moment) else ""}
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=text,
        moment=moment,
        reading=reading,
        place=Place(depot=event.text("DepotName") or event.text("Depot")),
        position=position,
        raw_fields={name: told for name, told in fields.items() if told},
        mapping_version=manifest.mapping_version,
    )


def _delivery(manifest: Manifest, consignment: XmlTree, position: int) -> Iterator[Scan]:
    day, time = consignment.text("DeliveryDate"), consignment.text("DeliveryTime")
    code = f"{SUMMARY}{consignment.text('SummaryCode')}"
    scan_class, reading = manifest.classify_by_code(code)
    if not day or reading.phase is not Phase.DELIVERED:
        return
    country = _country(consignment, "Destination")
    moment = _printed(manifest, day, time, _zone(manifest, country))
    yield Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=consignment.text("SummaryCode"),
        moment=moment,
        reading=reading,
        place=Place(city=consignment.text("DeliveryTown"), country_code=country),
        position=position,
        raw_fields={"clamped": "true"} if is_clamped(moment) else {},
        mapping_version=manifest.mapping_version,
    )


def _moment(
    manifest: Manifest, countries: Mapping[str, str], event: XmlTree, previous: datetime | None
) -> Moment:
    """The event's time, local to its depot."""
    zone = _zone(manifest, countries.get(event.text("Depot"), ""))
    day, time = event.needed_text("LocalEventDate"), event.text("LocalEventTime")
    return _printed(manifest, day, time, zone, previous)


def _countries(
    manifest: Manifest, consignment: XmlTree, events: Sequence[XmlTree]
) -> Mapping[str, str]:
    """In which country depots are, as far as the consignment's way tells: none is told.

    The depot of origin is where it comes from, and whoever drives out to the receiver does so where
    it goes to; a consignment within one country does not leave it.
    """
    origin, destination = _country(consignment, "Origin"), _country(consignment, "Destination")
    inland = origin if origin == destination else ""
    countries = {event.text("Depot"): inland for event in events}
    for event in events:
        code, text = event.text("StatusCode"), event.text("StatusDescription")
        if manifest.classify_by_code(code, text)[1].phase in _AT_THE_RECEIVER:
            countries[event.text("Depot")] = destination
    return {**countries, consignment.text("OriginDepot"): origin}


def _printed(
    manifest: Manifest, day: str, time: str, zone: Zone, previous: datetime | None = None
) -> Moment:
    if not time:
        return read_printed(day, _DAY, zone, manifest.home_zone, previous)
    return read_printed(f"{day} {time}", _MINUTE, zone, manifest.home_zone, previous)


def _zone(manifest: Manifest, country: str) -> Zone:
    home = manifest.home_zone
    return zone_of(country, "", home) if country else Zone(home, ZoneSource.ASSUMED)
