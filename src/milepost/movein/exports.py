"""Reading one row of any tool's export."""

from collections.abc import Callable, Mapping

from milepost.movein import aftership, easypost, karrio, seventeen_track
from milepost.movein.answers import Object
from milepost.movein.foreign import ForeignParcel

READERS: Mapping[str, Callable[[Object], ForeignParcel]] = {
    "aftership": aftership.read,
    "easypost": easypost.read,
    "17track": seventeen_track.read,
    "karrio": karrio.read,
}
"""What reads a row of JSON, by the tool's code."""
