"""What TIPSA says its incidences are about: a second answer beside that about the states."""

from collections.abc import Iterator
from dataclasses import replace

from milepost.carriers.answer_tree import MOST_EVENTS
from milepost.carriers.connector import Found
from milepost.carriers.manifest import Manifest
from milepost.carriers.xml_tree import XmlTree
from milepost.catalogue.tipsa.reading import table_in
from milepost.errors import CarrierParseError
from milepost.tracking.events import Scan

INCIDENCE = "4"
ANSWER = "WebServService___ConsEnvIncidenciasResponse"


def has_incidences(found: Found) -> bool:
    """Whether any of its states is an incidence."""
    return any(scan.raw_code == INCIDENCE for scan in found.scans)


def explained(manifest: Manifest, found: Found, told: XmlTree) -> Found:
    """``found`` with each incidence read as what it is about. Raises CarrierParseError."""
    if told.name != ANSWER:
        raise CarrierParseError(f"{told.path} is not an answer about incidences")
    table = table_in(told)
    rows = [] if table is None else list(table.items("ENV_INCIDENCIAS", at_most=MOST_EVENTS))
    return replace(found, scans=tuple(_with_reasons(manifest, found.scans, rows)))


def _with_reasons(
    manifest: Manifest, scans: tuple[Scan, ...], rows: list[XmlTree]
) -> Iterator[Scan]:
    """The scans, each incidence with the row of its time; in order where there are as many."""
    asked = [scan for scan in scans if scan.raw_code == INCIDENCE]
    by_time = {row.attribute("D_FEC_HORA_ALTA"): row for row in rows}
    in_order = dict(zip(map(id, asked), rows, strict=True)) if len(asked) == len(rows) else {}
    for scan in scans:
        row = by_time.get(scan.moment.stated) or in_order.get(id(scan))
        yield scan if row is None or scan.raw_code != INCIDENCE else _explained(manifest, scan, row)


def _explained(manifest: Manifest, scan: Scan, row: XmlTree) -> Scan:
    """A kind nobody knows stays an incidence, with the kind beside it."""
    kind = row.attribute("V_COD_TIPO_INC")
    code = f"{INCIDENCE}/{kind}"
    fields = {"incidence": kind, "remark": row.attribute("T_OBS")}
    raw_fields = {**scan.raw_fields, **{name: text for name, text in fields.items() if text}}
    if code not in manifest.by_code:
        return replace(scan, raw_fields=raw_fields)
    scan_class, reading = manifest.classify(code)
    return replace(
        scan, scan_class=scan_class, raw_code=code, reading=reading, raw_fields=raw_fields
    )
