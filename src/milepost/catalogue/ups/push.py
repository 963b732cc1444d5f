"""What UPS's Track Alert posts to us: one activity of one package."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from milepost.carriers.answer_tree import Tree, read_json
from milepost.carriers.connector import DeliveryEstimate, Found
from milepost.carriers.manifest import Manifest
from milepost.catalogue.ups.reading import scans_of

_FURTHEST = timedelta(hours=14)
_STEP = timedelta(minutes=15)


def read_push(
    manifest: Manifest, body: bytes, headers: Mapping[str, str]
) -> list[tuple[str, Found]]:
    """The activity as the Track API tells it: the two then are one scan."""
    told = read_json(body)
    number = told.needed_text("trackingNumber")
    status, place = told.child("activityStatus"), told.child("activityLocation")
    activity = {
        "date": told.needed_text("localActivityDate"),
        "time": told.text("localActivityTime"),
        "gmtOffset": _offset(told),
        "location": {
            "address": {
                "city": place.text("city"),
                "countryCode": place.text("country"),
                "postalCode": place.text("postalCode"),
            }
        },
        "status": {
            "code": status.text("code"),
            "statusCode": status.text("descriptionCode"),
            "type": status.text("type"),
            "description": status.text("description"),
        },
    }
    found = Found(
        scans=tuple(scans_of(manifest, [Tree(activity, "push")])),
        complete=False,
        estimate=_estimate(told),
        raw=told.as_json(),
    )
    return [(number, found)]


def _offset(told: Tree) -> str:
    """How far the local time is from UTC, which is told beside it; ``""`` where that is odd."""
    local, utc = (_moment(told, kind) for kind in ("local", "gmt"))
    if local is None or utc is None:
        return ""
    apart = local - utc
    if abs(apart) > _FURTHEST or apart % _STEP:
        return ""
    minutes = round(apart / timedelta(minutes=1))
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _moment(told: Tree, kind: str) -> datetime | None:
    stated = told.text(f"{kind}ActivityDate") + told.text(f"{kind}ActivityTime")
    try:
        return datetime.strptime(stated, "%Y%m%d%H%M%S")  # noqa: DTZ007 - only their difference
    except ValueError:
        return None


def _estimate(told: Tree) -> DeliveryEstimate | None:
    """The planned day. Its window is local to a destination that is not told."""
    try:
        planned = datetime.strptime(told.text("scheduledDeliveryDate"), "%Y%m%d")  # noqa: DTZ007
    except ValueError:
        return None
    day: date = planned.date()
    return DeliveryEstimate(day)
