"""The registration a foreign parcel stands for, in the form of our own API."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from milepost.carriers.localities import country_code
from milepost.movein.foreign import ForeignAddress, ForeignParcel

NOWHERE = "ZZ"
"""No country: ISO 3166 leaves this code to its users, and tables of regions have it for unknown."""
NO_POSTAL_CODE = "-"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def registration_of(
    parcel: ForeignParcel, carrier_code: str, announced_at: datetime, fixed: Mapping[str, Any]
) -> dict[str, Any]:
    """A registration; ``fixed`` (a document like it) fills in what the export doesn't tell.

    Where nobody tells a country or a postal code they are ``ZZ`` and ``-``.
    """
    known: dict[str, Any] = {
        "announced_at": announced_at.isoformat(),
        "tracking_number": {"carrier_code": carrier_code, "tracking_number": parcel.number},
        "from_address": _address(parcel.sender),
        "to_address": _address(parcel.recipient),
        "shipment": {
            "external_reference_id": _reference(parcel),
            "source_id": parcel.ours,
            "order": {
                "order_number": parcel.order_number or parcel.order_id,
                "source_external_id": parcel.order_id if parcel.order_number else "",
            },
        },
        "details": {"expected_delivery_date": _day(parcel.expected_day)},
    }
    nowhere = {"country_code": NOWHERE, "postal_code": NO_POSTAL_CODE}
    document = _filled(_filled(_given(known), fixed), {"source_id": ""})
    return _filled(document, {"from_address": nowhere, "to_address": nowhere})


def _address(address: ForeignAddress) -> dict[str, str]:
    return {
        "name": address.name,
        "company_name": address.company,
        "address_line_1": address.street,
        "city": address.city,
        "state_province_code": address.state,
        "postal_code": address.postal_code,
        "country_code": country_code(address.country),
        "phone_number": address.phone,
        "email": address.email,
    }


def _reference(parcel: ForeignParcel) -> str:
    """The title, unless it only repeats a number."""
    known = (parcel.number, parcel.order_number, parcel.order_id)
    return "" if parcel.title in known else parcel.title


def _day(stated: str) -> str:
    match = _DAY.match(stated)
    return match[0] if match else ""


def _given(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty."""
    inner = {
        name: _given(value) if isinstance(value, Mapping) else value
        for name, value in document.items()
    }
    return {name: value for name, value in inner.items() if value not in ("", {})}


def _filled(document: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """``document``, and of ``other`` what it doesn't have."""
    filled = dict(document)
    for name, value in other.items():
        if name not in filled:
            filled[name] = value
        elif isinstance(value, Mapping) and isinstance(filled[name], Mapping):
            filled[name] = _filled(filled[name], value)
    return filled
