"""What InPost's ShipX posts to us: that a shipment's status has changed."""

from collections.abc import Mapping

from milepost.carriers.answer_tree import read_json
from milepost.carriers.connector import Found
from milepost.carriers.manifest import Manifest
from milepost.errors import CarrierParseError

ABOUT_A_PARCEL = frozenset({"shipment_status_changed", "shipment_confirmed"})


def read_push(
    manifest: Manifest, body: bytes, headers: Mapping[str, str]
) -> list[tuple[str, Found]]:
    """The parcel that something happened to, so that it is asked about.

    The push tells the new status and when it was sent, not when the scan was: kept as a scan it
    would stand beside the one that the tracking tells. A parcel without a number yet is nobody's.
    """
    told = read_json(body)
    event = told.needed_text("event")
    number = told.text("payload", "tracking_number")
    if event not in ABOUT_A_PARCEL or not number:
        return []
    if event == "shipment_status_changed" and not told.text("payload", "status"):
        raise CarrierParseError("a change of status without a status")
    return [(number, Found((), complete=False))]
