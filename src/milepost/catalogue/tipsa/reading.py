"""What an answer of TIPSA's web services says about one waybill."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import Broken, Found, Item, NotFound, Outcome
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_printed
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.platforms.soap_xml import Fault
from milepost.carriers.xml_tree import XmlTree, read_xml
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, Wording, ZoneSource
from milepost.tracking.vocabulary import Reading

ANSWER = "WebServService___ConsEnvEstadosResponse"
LOST_SESSION = "EROSessionNotFound"


def read(manifest: Manifest, told: XmlTree, item: Item) -> Outcome:
    """What TIPSA knows about ``item``. It tells states alone: whose they are, the question says."""
    if told.name != ANSWER:
        raise CarrierParseError(f"{told.path} is not an answer about states")
    table = table_in(told)
    scans = () if table is None else tuple(_scans(manifest, table))
    return Found(scans=scans, complete=True, raw_type="text/xml") if scans else NotFound()


def read_fault(fault: Fault, item: Item) -> Outcome:
    """A session that is lost as soon as it is given is none; other faults are this waybill's."""
    if is_lost_session(fault):
        return credential_refused("TIPSA knows no session of this login")
    return Broken(f"TIPSA's fault: {fault.code or 'no code'}", lane_wide=False)


def is_lost_session(fault: Fault) -> bool:
    """Whether it is the session that TIPSA does not know."""
    return LOST_SESSION in (fault.code, fault.detail)


def table_in(told: XmlTree) -> XmlTree | None:
    """The table an answer holds: a document of its own, as a text. None where nothing is told."""
    element = next((one.element for one in told.children()), None)
    text = "" if element is None else "".join(map(str, element.itertext())).strip()
    return read_xml(text.encode()) if text else None


def _scans(manifest: Manifest, table: XmlTree) -> Iterator[Scan]:
    """The states from the oldest to the newest."""
    states = list(table.items("ENV_ESTADOS", at_most=MOST_EVENTS))
    for position, (moment, state) in enumerate(in_order(states, partial(_moment, manifest))):
        yield _scan(manifest, state, moment, position)


def _scan(manifest: Manifest, state: XmlTree, moment: Moment, position: int) -> Scan:
    code = state.attribute("V_COD_TIPO_EST")
    if not code:
        raise CarrierParseError(f"{state.path} has no V_COD_TIPO_EST")
    scan_class, reading = manifest.classify(code)
    fields = {
        "courier": state.attribute("V_COD_REP_ALTA"),
        "user": state.attribute("V_COD_USU_ALTA"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text="",
        moment=moment,
        reading=reading,
        place=Place(depot=state.attribute("V_COD_AGE_ALTA")),
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules: an incidence by what it is about, where known."""
    state, _, kind = told.raw_code.partition("/")
    about = f"{state}/{kind or told.raw_fields.get('incidence', '')}"
    return manifest.classify(about if about in manifest.by_code else state)[1]


def _moment(manifest: Manifest, state: XmlTree, previous: datetime | None) -> Moment:
    """Month before day, though the service is Spanish."""
    stated = state.attribute("D_FEC_HORA_ALTA")
    home = manifest.home_zone
    zone = Zone(home, ZoneSource.ASSUMED)
    return read_printed(stated, "%m/%d/%Y %H:%M:%S", zone, home, previous)
