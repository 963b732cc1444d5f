"""PostNL's updated shipments: the parcels of a customer whose status has changed in a period."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from milepost.carriers.answer_tree import Tree, read_json
from milepost.carriers.connector import Credential, Found
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.errors import CarrierParseError

ENDPOINT = "https://api.postnl.nl/shipment/v2/status"
LONGEST_LIST = 20_000


def request(
    manifest: Manifest, credential: Credential, since: datetime, until: datetime
) -> Request:
    """The period is told in local time without a zone. Where the clocks are set back, or on, it is
    as much wider as they are."""
    home = ZoneInfo(manifest.home_zone)
    first, last = (at.astimezone(home).replace(tzinfo=None) for at in (since, until))
    span = until - since
    first, last = min(first, last - span), max(last, first + span)
    customer = quote(credential.fields.get("customer_number", ""), safe="")
    return Request(
        f"{ENDPOINT}/{customer}/updatedshipments",
        query=tuple(("period", at.isoformat(timespec="seconds")) for at in (first, last)),
        headers={"apikey": credential.fields.get("api_key", ""), "Accept": "application/json"},
        remember=False,
    )


def entries(body: bytes) -> list[tuple[str, bytes]]:
    """The shipments by barcode, the latest change of each; an empty list where nothing changed."""
    document = read_json(body)
    if not isinstance(document.value, list | dict):
        raise CarrierParseError("neither a list nor a shipment")
    told = Tree({"changed": document.value}, "answer").items("changed", at_most=LONGEST_LIST)
    # An empty object stands for none, as in PostNL's other answers.
    return [(one.needed_text("Barcode"), one.as_json()) for one in told if one.value]


def read_change(
    manifest: Manifest, body: bytes, headers: Mapping[str, str]
) -> list[tuple[str, Found]]:
    """The parcel that something happened to, so that it is asked about.

    What is told is the parcel's coarse status; asked about it PostNL tells the events behind it,
    and the two would stand beside each other.
    """
    return [(read_json(body).needed_text("Barcode"), Found((), complete=False))]
