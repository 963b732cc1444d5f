"""What GLS Spain tells of a shipment: states, incidences and notices in one list."""

from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import DeliveryEstimate
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_printed
from milepost.carriers.xml_tree import XmlTree
from milepost.carriers.zones import Zone
from milepost.tracking.events import Moment, Place, Scan, ZoneSource

STATE, INCIDENCE = "ESTADO", "INCIDENCIA"
"""Kinds of entries with a list of codes each; of other kinds the kind is all that is known."""
DAY = "%d/%m/%Y"
CLOCK = ("%H", "%M", "%S")


def scans_of(manifest: Manifest, shipment: XmlTree) -> tuple[Scan, ...]:
    """The entries from the oldest to the newest."""
    entries = list(shipment.items("tracking_list", "tracking", at_most=MOST_EVENTS))
    timed = in_order(entries, partial(_moment, manifest))
    return tuple(
        _scan(manifest, entry, moment, position) for position, (moment, entry) in enumerate(timed)
    )


def _scan(manifest: Manifest, entry: XmlTree, moment: Moment, position: int) -> Scan:
    code, words = _code(entry), entry.text("evento")
    scan_class, reading = manifest.classify(code, words)
    fields = {
        "depot_code": entry.text("plaza"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=words,
        moment=moment,
        reading=reading,
        place=Place(depot=entry.text("nombreplaza")),
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def _code(entry: XmlTree) -> str:
    """A state's number, or the kind in front of an incidence's: both count from one."""
    kind, code = entry.text("tipo").upper(), entry.text("codigo")
    if kind in ("", STATE):
        return code
    return f"{kind}/{code}" if kind == INCIDENCE else kind


def _moment(manifest: Manifest, entry: XmlTree, previous: datetime | None) -> Moment:
    """On the clock of the mainland. Whether depots on the Canaries print theirs nobody says."""
    return _printed(manifest, entry.needed_text("fecha"), previous)


def estimate_of(manifest: Manifest, shipment: XmlTree) -> DeliveryEstimate | None:
    """The planned day (FPEntrega). What an hour beside it would mean is not known."""
    stated = shipment.text("FPEntrega")
    if not stated:
        return None
    told = _printed(manifest, stated).home_minute
    return DeliveryEstimate(day=datetime.fromisoformat(told).date())


def _printed(manifest: Manifest, stated: str, previous: datetime | None = None) -> Moment:
    home = manifest.home_zone
    clock = ":".join(CLOCK[: stated.count(":") + 1])
    form = f"{DAY} {clock}" if ":" in stated else DAY
    return read_printed(stated, form, Zone(home, ZoneSource.ASSUMED), home, previous)
