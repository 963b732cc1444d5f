"""Chronopost's TrackingServiceWS: what to ask, without any login, and what an answer says."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
    RelatedNumber,
    related,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.platforms.soap_xml import Fault, SoapXml, element, envelope
from milepost.carriers.xml_tree import XmlTree
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase, Reading

NAMESPACE = "http://cxf.tracking.soap.chronopost.fr/"
LANGUAGE = "fr_FR"
"""The language in which the codes' wordings are known."""
# The details of an event have names in the language that is asked for.
_PARTNER = frozenset({"Numéro partenaire", "Partner number"})
_RECIPIENT = frozenset({"Nom du destinataire", "Consignee's name"})
_AGAIN_ON = frozenset({"Date de relivraison"})
_NUMERIC = 14
DELIVERED = Reading(Phase.DELIVERED)


def build(manifest: Manifest) -> Connector:
    """Chronopost's connector."""
    return SoapXml(
        request=partial(request, manifest), read=partial(read, manifest), fault=read_fault
    )


def request(manifest: Manifest, item: Item, credential: Credential, token: str) -> Request:
    """One number with all its events."""
    asked = {"language": LANGUAGE, "skybillNumber": number_key(item.number)}
    base = manifest.api.base_url if manifest.api else ""
    return envelope(base, "", element("trackSkybillV2", asked, NAMESPACE))


def read(manifest: Manifest, body: XmlTree, item: Item) -> Outcome:
    """What Chronopost knows about ``item``."""
    result = body.child("return")
    code = result.needed_text("errorCode")
    if code != "0":
        # Which code an unknown number has is not public: it is no reason to stop asking for others.
        return Broken(f"Chronopost's error {code}", lane_wide=False)
    history = result.child("listEventInfoComp")
    if not _is_about(history.text("skybillNumber"), item):
        raise CarrierParseError("another parcel than the one we asked for")
    events = list(history.items("events", at_most=MOST_EVENTS))
    if not events:
        return NotFound()
    timed = in_order(events, partial(_moment, manifest))
    scans = tuple(_scans(manifest, timed))
    handed_over = [timed[scan.position][1] for scan in scans if scan.reading == DELIVERED]
    return Found(
        scans=scans,
        complete=True,
        estimate=None if handed_over else _estimate([event for _, event in timed]),
        signed_by=next(_details(handed_over, _RECIPIENT), ""),
        related_numbers=tuple(_partners(events, item)),
        raw_type="text/xml",
    )


def read_fault(fault: Fault, item: Item) -> Outcome:
    """A fault is the service's: it has none of its own for a number."""
    return Broken(f"Chronopost's fault: {fault.code or 'no code'}")


def _is_about(number: str, item: Item) -> bool:
    """Whether it is the number asked for; the check character after fourteen digits may lack."""
    told, wanted = number_key(number), number_key(item.number)
    short = wanted[:_NUMERIC]
    return told == wanted or (len(wanted) == _NUMERIC + 1 and short.isdecimal() and told == short)


def _scans(manifest: Manifest, timed: list[tuple[Moment, XmlTree]]) -> Iterator[Scan]:
    for position, (moment, event) in enumerate(timed):
        code, label = event.text("code"), event.text("eventLabel")
        scan_class, reading = manifest.classify(code, label)
        fields = {
            "department": event.text("NPC"),
            "clamped": "true" if is_clamped(moment) else "",
        }
        yield Scan(
            scan_class=scan_class,
            raw_code=code,
            raw_text=label,
            moment=moment,
            reading=reading,
            place=Place(depot=event.text("officeLabel"), postal_code=event.text("zipCode")),
            position=position,
            raw_fields={name: text for name, text in fields.items() if text},
            mapping_version=manifest.mapping_version,
        )


def _moment(manifest: Manifest, event: XmlTree, previous: datetime | None) -> Moment:
    home = manifest.home_zone
    zone = Zone(home, ZoneSource.ASSUMED)
    return read_moment(event.needed_text("eventDate"), zone, home, previous)


def _estimate(events: list[XmlTree]) -> DeliveryEstimate | None:
    """The day the recipient chose last for another try."""
    for stated in reversed(list(_details(events, _AGAIN_ON))):
        try:
            return DeliveryEstimate(datetime.strptime(stated, "%d/%m/%Y").date())  # noqa: DTZ007 - a day
        except ValueError:
            return None
    return None


def _details(events: Sequence[XmlTree], names: frozenset[str]) -> Iterator[str]:
    """What the events' details of these names say. Others hold addresses and are left alone."""
    for event in events:
        for detail in event.items("infoCompList"):
            if detail.text("name") in names and detail.text("value"):
                yield detail.text("value")


def _partners(events: Sequence[XmlTree], item: Item) -> Iterator[RelatedNumber]:
    """The partner's number, before which stands the name of its network (``GEO/``)."""
    for reference in dict.fromkeys(_details(events, _PARTNER)):
        network, _, number = reference.rpartition("/")
        yield from related("last_mile", [number], item.number, network)
