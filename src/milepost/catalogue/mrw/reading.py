"""What MRW tells of a shipment: its states, and who took it."""

from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS
from milepost.carriers.chronology import in_order
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment, read_printed
from milepost.carriers.xml_tree import XmlTree
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Scan, ZoneSource
from milepost.tracking.vocabulary import Phase


def scans_of(manifest: Manifest, states: list[XmlTree]) -> tuple[Scan, ...]:
    """The states from the oldest to the newest."""
    if len(states) > MOST_EVENTS:
        raise CarrierParseError(f"the shipment has more than {MOST_EVENTS} states")
    timed = in_order(states, partial(_moment, manifest), newest_first=True)
    return tuple(
        _scan(manifest, state, moment, position) for position, (moment, state) in enumerate(timed)
    )


def signer_of(manifest: Manifest, states: list[XmlTree]) -> str:
    """Who took the shipment; other states may name whom it is for."""
    delivered = (state for state in states if _delivers(manifest, state))
    return next((name for name in (one.text("PersonaEntrega") for one in delivered) if name), "")


def _delivers(manifest: Manifest, state: XmlTree) -> bool:
    rule = manifest.by_code.get(state.text("Estado"))
    return rule is not None and rule.reading.phase is Phase.DELIVERED


def _scan(manifest: Manifest, state: XmlTree, moment: Moment, position: int) -> Scan:
    code, words = state.text("Estado"), state.text("EstadoDescripcion")
    scan_class, reading = manifest.classify(code, words)
    fields = {
        "attempts": state.text("Intentos"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=words,
        moment=moment,
        reading=reading,
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def _moment(manifest: Manifest, state: XmlTree, previous: datetime | None) -> Moment:
    """When a delivery was, and of other states when they were published.

    What the day and hour of a delivery mean in another state is not documented: it may be the
    arranged one. They are read there where nothing else is told.
    """
    home, published = manifest.home_zone, state.text("Publicado")
    zone = Zone(home, ZoneSource.ASSUMED)
    day, hour = state.text("FechaEntrega"), state.text("HoraEntrega")
    delivered = _delivers(manifest, state) and day and hour
    if published and not delivered:
        return read_moment(published, zone, home, previous)
    if not day:
        raise CarrierParseError(f"{state.path} has no time")
    if not hour:
        return read_printed(day, "%d%m%Y", zone, home, previous)
    return read_printed(f"{day} {hour}", "%d%m%Y %H%M", zone, home, previous)
