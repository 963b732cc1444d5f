"""ExpressConnect Tracking: what to ask, as XML in a form."""

from functools import partial
from urllib.parse import urlencode
from xml.sax.saxutils import escape, quoteattr

from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Connector, Credential, Item
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.rest_xml import RestXml
from milepost.carriers.rereading import by_code
from milepost.catalogue.tnt_it.reading import read
from milepost.tracking.parcel import number_key

HOME = "IT"


def build(manifest: Manifest) -> Connector:
    """TNT's connector. It tells an unknown number with 200; a 404 is a proxy's."""
    return RestXml(
        request=partial(request, manifest),
        read=partial(read, manifest),
        reread=by_code(manifest),
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One consignment with all its events, told in English."""
    fields = credential.fields
    return Request(
        manifest.api.base_url if manifest.api else "",
        headers={
            "Authorization": basic(fields.get("username", ""), fields.get("password", "")),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "text/xml",
        },
        method="POST",
        body=urlencode({"xml_in": _document(item)}).encode(),
        remember=False,
    )


def _document(item: Item) -> str:
    """TNT keeps consignments within a country apart from those between countries."""
    origin = item.origin_country.upper() or HOME
    inland = origin == item.destination_country.upper()
    market = "DOMESTIC" if inland else "INTERNATIONAL"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><TrackRequest locale="en_US" version="3.1">'
        f'<SearchCriteria marketType="{market}" originCountry={quoteattr(origin)}>'
        f"<ConsignmentNumber>{escape(number_key(item.number))}</ConsignmentNumber>"
        '</SearchCriteria><LevelOfDetail><Complete shipment="true"/></LevelOfDetail></TrackRequest>'
    )
