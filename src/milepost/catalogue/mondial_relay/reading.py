"""What an answer of Mondial Relay's tracking says: a state, and wordings without codes."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import Broken, Found, Item, NotFound, Outcome, ServicePoint
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_printed
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.xml_tree import XmlTree
from milepost.carriers.zones import zone_of
from milepost.tracking.events import Moment, Place, Scan, Wording
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import UNREAD, Phase, Reading

TOLD = frozenset({"0", "80", "81", "82", "83"})
"""States in which events are told: recorded, on its way, delivered, anomaly."""
DELIVERED = "82"
UNKNOWN = frozenset({"24", "91", "94"})
"""A number that is none, or of no parcel."""
REFUSED = frozenset({"1", "2", "3", "95", "96", "97"})
"""The shop's code, its account or the signature."""
UNAVAILABLE = frozenset({"90", "98"})
LONGEST_CODE = 80


def read(manifest: Manifest, body: XmlTree, item: Item) -> Outcome:
    """What Mondial Relay knows about ``item``; the answer does not repeat the number."""
    result = body.child("WSI2_TracingColisDetailleResult")
    state = result.needed_text("STAT")
    if state in UNKNOWN:
        return NotFound()
    if state in REFUSED:
        return credential_refused(f"Mondial Relay refused the login with {state}")
    if state not in TOLD:
        return Broken(f"Mondial Relay's state {state}", lane_wide=state in UNAVAILABLE)
    rows = [
        row
        for row in result.items("Tracing", "ret_WSI2_sub_TracingColisDetaille", at_most=MOST_EVENTS)
        # The list is filled up with empty rows.
        if row.text("Date")
    ]
    if not rows:
        return NotFound()
    return Found(
        scans=tuple(_scans(manifest, result, rows, state)),
        complete=True,
        service_point=ServicePoint(
            result.text("Relais_Libelle"), Place(service_point_id=result.text("Relais_Num"))
        ),
        raw_type="text/xml",
    )


def _scans(manifest: Manifest, result: XmlTree, rows: list[XmlTree], state: str) -> Iterator[Scan]:
    timed = in_order(rows, partial(_moment, manifest))
    for position, (moment, row) in enumerate(timed):
        label = row.text("Libelle")
        scan_class, reading = manifest.classify("", label)
        fields = {"clamped": "true" if is_clamped(moment) else ""}
        if reading == UNREAD and position == len(timed) - 1 and state == DELIVERED:
            reading = _reading_of(manifest, state)
            fields["state"] = state
        yield Scan(
            scan_class=scan_class,
            raw_code=_code(label),
            raw_text=label,
            moment=moment,
            reading=reading,
            place=_place(result, row, reading),
            position=position,
            raw_fields={name: text for name, text in fields.items() if text},
            mapping_version=manifest.mapping_version,
        )


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules."""
    _, reading = manifest.classify("", told.raw_text)
    state = told.raw_fields.get("state", "")
    return _reading_of(manifest, state) if state and reading == UNREAD else reading


def _reading_of(manifest: Manifest, state: str) -> Reading:
    """What the parcel's state makes of a last event in words nobody knows.

    Only that it was delivered: in any other state the event will not stay the last.
    """
    known = manifest.by_code.get(f"STAT:{state}")
    return known.reading if known else UNREAD


def _code(label: str) -> str:
    """The wording as a code, for what collects codes that nobody mapped."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[A-Z']+", plain.upper()))[:LONGEST_CODE]


def _place(result: XmlTree, row: XmlTree, reading: Reading) -> Place:
    """Where it happened; a parcel that waits does so at the relay it is for."""
    relay, name = row.text("Relais_Num"), row.text("Emplacement")
    if reading.phase is Phase.PUP:
        relay, name = relay or result.text("Relais_Num"), name or result.text("Relais_Libelle")
    return Place(depot=name, country_code=_country(row), service_point_id=relay)


def _country(row: XmlTree) -> str:
    return number_key(row.text("Relais_Pays"))[:2]


def _moment(manifest: Manifest, row: XmlTree, previous: datetime | None) -> Moment:
    """The day and minute as printed; the end of the day where there is no minute."""
    day, minute = row.text("Date"), row.text("Heure")
    zone = zone_of(_country(row), "", manifest.home_zone)
    home = manifest.home_zone
    form = "%d/%m/%Y" if len(day) > len("dd/mm/yy") else "%d/%m/%y"
    if minute:
        return read_printed(f"{day} {minute}", f"{form} %H:%M", zone, home, previous)
    return read_printed(day, form, zone, home)
