"""DHL Express's older service, XML-PI: what to ask about waybills, and what an answer says.

DHL retires it in favour of the MyDHL API. What it tells is put in that one's form and read as that.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.connector import Broken, Credential, Found, Item, NotFound, Outcome
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.platforms.rest_xml import RestXml
from milepost.carriers.xml_tree import XmlTree
from milepost.catalogue.dhl_express.reading import read
from milepost.errors import CarrierParseError
from milepost.tracking.parcel import number_key

URL = "https://xmlpi-ea.dhl.com/XMLShippingServlet"
NAME = "xml-pi"
"""What an operator puts into the field ``interface``."""
WRONG_LOGIN = "100"
_ERRORS = ("ErrorResponse", "ShipmentTrackingErrorResponse")
_NOBODYS = "No Shipments Found"
_LOGIN_FIELD = re.compile(r"element '(?:SiteID|Password)'")
_WORDS = re.compile(r"\w+", re.ASCII)
_ROOT = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?<\w+:(?:Tracking|ShipmentTrackingError|Error)Response\b"
)


def build(manifest: Manifest) -> RestXml:
    """The platform that asks XML-PI. It tells an unknown number with 200."""
    return RestXml(
        request=lambda item, credential: request([item], credential),
        batch=request,
        read=partial(read_xml_pi, manifest),
    )


def is_chosen(credential: Credential) -> bool:
    """Whether the login is a site's for XML-PI."""
    return credential.fields.get("interface", "").strip().lower() == NAME


def is_answer(answer: Answer) -> bool:
    """Whether it is XML-PI that answered."""
    return _ROOT.match(answer.body) is not None


def request(items: Sequence[Item], credential: Credential) -> Request:
    """Waybills with all their checkpoints, told in English."""
    fields = credential.fields
    waybills = (f"<AWBNumber>{escape(number_key(item.number))}</AWBNumber>" for item in items)
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<req:KnownTrackingRequest xmlns:req="http://www.dhl.com"><Request><ServiceHeader>'
        f"<SiteID>{escape(fields.get('username', ''))}</SiteID>"
        f"<Password>{escape(fields.get('password', ''))}</Password>"
        "</ServiceHeader></Request><LanguageCode>en</LanguageCode>"
        f"{''.join(waybills)}<LevelOfDetails>ALL_CHECK_POINTS</LevelOfDetails>"
        "<PiecesEnabled>S</PiecesEnabled></req:KnownTrackingRequest>"
    )
    return Request(
        URL,
        query=(("isUTF8Support", "true"),),
        headers={"Content-Type": "text/xml; charset=utf-8", "Accept": "text/xml"},
        method="POST",
        body=body.encode(),
        remember=False,
    )


def read_xml_pi(manifest: Manifest, document: XmlTree, item: Item) -> Outcome:
    """What DHL Express knows about ``item``, one of the waybills asked about."""
    if document.name in _ERRORS:
        return _failure(document.child("Response", "Status", "Condition"))
    if document.name != "TrackingResponse":
        raise CarrierParseError("an answer to another question than about waybills")
    told = _meant(list(document.items("AWBInfo")), number_key(item.number))
    state = told.needed_text("Status", "ActionStatus")
    if state == _NOBODYS:
        return NotFound()
    if state.lower() != "success":
        return _failure(told.child("Status", "Condition"))
    outcome = read(manifest, Tree({"shipments": [_as_my_dhl(told)]}, "answer"), item)
    if isinstance(outcome, Found):
        return replace(outcome, raw=told.source(), raw_type="text/xml")
    return outcome


def _meant(told: Sequence[XmlTree], wanted: str) -> XmlTree:
    """The waybill that is meant. Of an unknown one the number may stand in the words alone."""
    for waybill in told:
        words = waybill.text("Status", "Condition", "ConditionData").upper()
        number = number_key(waybill.text("AWBNumber"))
        if number == wanted or (not number and wanted in _WORDS.findall(words)):
            return waybill
    raise CarrierParseError("no waybill has the number we asked for")


def _failure(condition: XmlTree) -> Outcome:
    """DHL's error. A site ID or password that is too short is none that the service even reads."""
    code, words = condition.text("ConditionCode"), condition.text("ConditionData")
    if code == WRONG_LOGIN or _LOGIN_FIELD.search(words):
        return credential_refused(f"DHL's error {code[:20]}: the site ID or password is wrong")
    return Broken(f"DHL's error {code[:20]}", lane_wide=False)


def _as_my_dhl(waybill: XmlTree) -> dict[str, Any]:
    """A waybill as MyDHL's answer has shipments."""
    shipment = waybill.child("ShipmentInfo")
    expected = shipment.text("EstDlvyDate").replace(" GMT", "")
    events = shipment.items("ShipmentEvent", at_most=MOST_EVENTS)
    return {
        "shipmentTrackingNumber": waybill.text("AWBNumber"),
        "productCode": shipment.text("GlobalProductCode"),
        "estimatedDeliveryDate": expected,
        "events": [
            {
                "date": event.text("Date"),
                "time": event.text("Time"),
                "typeCode": event.text("ServiceEvent", "EventCode"),
                "description": event.text("ServiceEvent", "Description"),
                "signedBy": event.text("Signatory"),
                "serviceArea": [
                    {
                        "code": event.text("ServiceArea", "ServiceAreaCode"),
                        "description": event.text("ServiceArea", "Description"),
                    }
                ],
            }
            for event in events
        ],
    }
