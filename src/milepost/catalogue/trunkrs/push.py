"""What Trunkrs posts to us: the state of a shipment."""

from collections.abc import Mapping

from milepost.carriers.answer_tree import read_json
from milepost.carriers.connector import Found
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.zones import Zone
from milepost.tracking.events import Scan, ZoneSource


def read_push(
    manifest: Manifest, body: bytes, headers: Mapping[str, str]
) -> list[tuple[str, Found]]:
    """The state by the shipment's number; nothing where a shipment is told without a state.

    Who has the parcel is told by name, too: the driver's and the recipient's are left out.
    """
    told = read_json(body)
    number, state = told.needed_text("trunkrsNr"), told.child("state")
    if state.value is None:
        return []
    code, home = state.needed_text("code"), manifest.home_zone
    scan_class, reading = manifest.classify(code)
    moment = read_moment(state.needed_text("timestamp"), Zone(home, ZoneSource.ASSUMED), home)
    fields = {
        "owner": state.text("currentOwner", "type"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    scan = Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=state.text("reason") or code,
        moment=moment,
        reading=reading,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )
    return [(number, Found((scan,), complete=False, raw=told.as_json()))]
