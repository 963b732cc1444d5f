"""A registration to start from, and where it goes."""

from typing import Any

POST = "/api/v3/parcels/tracking"
V2 = "/api/v2/tracking/"
ADDRESS = {"country_code": "NL", "postal_code": "5611EM"}


def registration(number: str = "3S1", **changed: Any) -> dict[str, Any]:
    """The least that is taken."""
    return {
        "announced_at": "2026-01-05T09:00:00Z",
        "source_id": "order-1",
        "from_address": ADDRESS,
        "to_address": ADDRESS,
        "ship_with": {
            "type": "shipping_option_code",
            "properties": {"shipping_option_code": "postnl:standard"},
        },
        "tracking_number": {"carrier_code": "postnl", "tracking_number": number},
        **changed,
    }
