"""DHL Express's MyDHL API: what to ask about waybills, or about pieces, several at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Connector, Credential, Item, Outcome
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.rest_json import RestJson
from milepost.catalogue.dhl_express.reading import not_found, read
from milepost.tracking.parcel import number_key


def build(manifest: Manifest) -> Connector:
    """DHL Express's connector."""
    return DhlExpress(
        RestJson(
            request=lambda item, credential: request(manifest, [item], credential),
            batch=partial(request, manifest),
            read=partial(read, manifest),
            not_found=not_found,
        )
    )


@dataclass(frozen=True, slots=True)
class DhlExpress:
    """The platform, except that one question is about waybills or about pieces, never both."""

    platform: RestJson

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        """Ask once for the waybills and once for the pieces."""
        outcomes: dict[Item, Outcome] = {}
        for alike in (False, True):
            some = [item for item in items if is_piece(item) is alike]
            if some:
                outcomes |= await self.platform.ask(some, credential, carrier)
        return outcomes

    def outcome(self, item: Item, answer: Answer) -> Outcome:
        """What ``answer`` says about ``item``."""
        return self.platform.outcome(item, answer)


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
