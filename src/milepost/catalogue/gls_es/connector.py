"""GLS Spain's GetExpCli: what to ask, and which shipment of an answer is the one asked for.

No document of it is public and no answer has been seen here: the form is what public programs of
customers, GLS's own module for shops among them, read.
"""

from functools import partial

from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.soap_xml import Fault, SoapXml, element, envelope
from milepost.carriers.status_rules import fold
from milepost.carriers.xml_tree import XmlTree
from milepost.catalogue.gls_es.reading import estimate_of, scans_of
from milepost.errors import CarrierParseError
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase

NAMESPACE = "http://www.asmred.com/"
METHOD = "GetExpCli"
UNKNOWN = "no se encuentra"
"""How its text about an unknown number begins. A wrong uid is told in the same words."""
BARCODE = "codbar"
BARCODE_DIGITS = 14
"""What follows them on a label is the package's place in its shipment."""


def build(manifest: Manifest) -> Connector:
    """GLS Spain's connector."""
    return SoapXml(
        request=partial(request, manifest), read=partial(read, manifest), fault=read_fault
    )


def request(manifest: Manifest, item: Item, credential: Credential, token: str) -> Request:
    """One number with its shipment and all it went through."""
    asked = {"codigo": number_key(item.number), "uid": credential.fields.get("uid", "")}
    base = manifest.api.base_url if manifest.api else ""
    return envelope(base, f"{NAMESPACE}{METHOD}", element(METHOD, asked, NAMESPACE, qualified=True))


def read_fault(fault: Fault, item: Item) -> Outcome:
    """A fault is the service's: an unknown number is told in the answer instead."""
    return Broken(f"GLS Spain's fault: {fault.code or 'no code'}")


def read(manifest: Manifest, body: XmlTree, item: Item) -> Outcome:
    """What GLS Spain knows about ``item``."""
    if body.name != f"{METHOD}Response":
        raise CarrierParseError(f"{body.path} is not an answer about a shipment")
    told = body.child(f"{METHOD}Result", "expediciones")
    error = fold(told.text("Error"))
    if error and not error.startswith(UNKNOWN):
        # The text may quote what was asked.
        return Broken("GLS Spain tells an error in words nobody knows", lane_wide=False)
    shipments = list(told.items("exp"))
    if not shipments:
        return NotFound()
    shipment = _asked_for(shipments, number_key(item.number))
    scans = scans_of(manifest, shipment)
    if not scans:
        return NotFound()
    arrived = any(scan.reading.phase is Phase.DELIVERED for scan in scans)
    return Found(
        scans=scans,
        complete=True,
        estimate=None if arrived else estimate_of(manifest, shipment),
        raw_type="text/xml",
    )


def _asked_for(shipments: list[XmlTree], number: str) -> XmlTree:
    """The shipment that tells ``number`` in any of its fields; the only one that tells no barcode.

    Customers ask with a barcode or with GLS's own number, and not all fields' names are known.
    """
    for shipment in shipments:
        told = {
            number_key(one.text()) for one in shipment.children() if one.name != "tracking_list"
        }
        if {number, number[:BARCODE_DIGITS]} & told:
            return shipment
    if len(shipments) == 1 and not shipments[0].text(BARCODE):
        return shipments[0]
    raise CarrierParseError("no shipment has the number we asked for")
