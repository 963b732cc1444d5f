"""DHL Express's MyDHL API: what to ask about waybills, or about pieces, several at a time.

Who has no more than a site's login for the older XML-PI is asked with that (``xml_pi``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Broken, Connector, Credential, Item, Outcome
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.platforms.rest_xml import RestXml
from milepost.catalogue.dhl_express import xml_pi
from milepost.catalogue.dhl_express.reading import not_found, read
from milepost.tracking.parcel import number_key

NO_PIECES = Broken("XML-PI is asked about waybills, and this is a piece's number", lane_wide=False)


def build(manifest: Manifest) -> Connector:
    """DHL Express's connector."""
    return DhlExpress(
        RestJson(
            request=lambda item, credential: request(manifest, [item], credential),
            batch=partial(request, manifest),
            read=partial(read, manifest),
            not_found=not_found,
        ),
        xml_pi.build(manifest),
    )


@dataclass(frozen=True, slots=True)
class DhlExpress:
    """The platform, except that one question is about waybills or about pieces, never both."""

    my_dhl: RestJson
    xml_pi: RestXml

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        """Ask once for the waybills and once for the pieces."""
        waybills, pieces = (
            [one for one in items if is_piece(one) is alike] for alike in (False, True)
        )
        older = xml_pi.is_chosen(credential)
        platform = self.xml_pi if older else self.my_dhl
        outcomes: dict[Item, Outcome] = {}
        if waybills:
            outcomes |= await platform.ask(waybills, credential, carrier)
        if older:
            return outcomes | dict.fromkeys(pieces, NO_PIECES)
        if pieces:
            outcomes |= await platform.ask(pieces, credential, carrier)
        return outcomes

    def outcome(self, item: Item, answer: Answer) -> Outcome:
        """What ``answer`` says about ``item``, whichever service gave it."""
        platform = self.xml_pi if xml_pi.is_answer(answer) else self.my_dhl
        return platform.outcome(item, answer)


def is_piece(item: Item) -> bool:
    """Whether it is one piece's number; a waybill's has digits only."""
    return not number_key(item.number).isdecimal()


def request(manifest: Manifest, items: Sequence[Item], credential: Credential) -> Request:
    """Numbers of one kind with all their checkpoints, each with the offset of its clock."""
    pieces = is_piece(items[0])
    name = "pieceTrackingNumber" if pieces else "shipmentTrackingNumber"
    fields = credential.fields
    return Request(
        manifest.api.base_url if manifest.api else "",
        query=(
            *((name, number_key(item.number)) for item in items),
            ("trackingView", "all-checkpoints"),
            ("levelOfDetail", "all" if pieces else "shipment"),
            ("requestGMTOffsetPerEvent", "true"),
        ),
        headers={
            "Authorization": basic(fields.get("username", ""), fields.get("password", "")),
            "Accept": "application/json",
        },
    )
