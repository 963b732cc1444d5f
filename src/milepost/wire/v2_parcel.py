"""The v2 parcel object: what ``GET /api/v2/parcels/{id}`` answers and classic webhooks carry.

Its keys and their order are those of real answers of Sendcloud (recorded in 2022), and behind them
``to_address``, which production payloads have had since. It is filled from what was registered.
What nobody told us stands as it does in real answers that lack it: empty texts, objects and lists,
``null``, reference ``"0"``; numbers that clients reckon with are 0. Nothing is made up.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any

from milepost.tracking.journey import Journey
from milepost.tracking.parcel import TrackedParcel
from milepost.tracking.status import STATUSES
from milepost.wire.countries import country
from milepost.wire.python_json import dumped
from milepost.wire.v3 import mailbox

Document = Mapping[str, Any]

_NOTHING: Document = {}
_KILOGRAMS = {
    "kg": Decimal(1),
    "g": Decimal("0.001"),
    "lbs": Decimal("0.45359237"),
    "oz": Decimal("0.028349523125"),
}
_CENTIMETRES = {
    "cm": Decimal(1),
    "mm": Decimal("0.1"),
    "m": Decimal(100),
    "in": Decimal("2.54"),
    "ft": Decimal("30.48"),
    "yd": Decimal("91.44"),
}
_GRAM, _CENT, _TENTH = Decimal("0.001"), Decimal("0.01"), Decimal("0.1")


def parcel_answer(parcel: TrackedParcel, journey: Journey) -> bytes:
    """``{"parcel": ...}``: the answer to one id."""
    return dumped({"parcel": parcel_object(parcel, journey)})


def list_answer(
    found: Sequence[tuple[TrackedParcel, Journey]],
    next_page: str | None = None,
    previous_page: str | None = None,
) -> bytes:
    """``{"next", "previous", "parcels"}``: a page, with the addresses of its neighbours."""
    parcels = [parcel_object(*one) for one in found]
    return dumped({"next": next_page, "previous": previous_page, "parcels": parcels})


def parcel_object(parcel: TrackedParcel, journey: Journey) -> dict[str, Any]:
    """The object itself. The person in it is the recipient."""
    document = parcel.document
    to_address = document.get("to_address") or _NOTHING
    shipment = document.get("shipment") or _NOTHING
    order = shipment.get("order") or _NOTHING
    details = document.get("details") or _NOTHING
    method = _method(document)
    insured = _insured(document)
    total = order.get("total_order_price") or _NOTHING
    status = STATUSES[journey.status]
    return {
        **_addressed(parcel, to_address),
        "reference": "0",
        "shipment": method,
        "status": {"id": status.v2_id, "message": status.message},
        "to_service_point": None,
        "telephone": _text(to_address, "phone_number"),
        "tracking_number": parcel.tracking_number,
        "weight": _kilograms((document.get("measurements") or _NOTHING).get("weight")),
        "label": {},
        "customs_declaration": {},
        "order_number": _text(order, "order_number"),
        "insured_value": insured,
        "total_insured_value": insured,
        "to_state": _text(to_address, "state_province_code") or None,
        "customs_invoice_nr": "",
        "customs_shipment_type": None,
        "parcel_items": [_item(item) for item in document.get("parcel_items") or ()],
        "documents": [],
        "type": "parcel",
        "shipment_uuid": None,
        "shipping_method": method["id"],
        "external_order_id": _text(order, "source_id") or _text(order, "source_external_id"),
        "external_shipment_id": _text(shipment, "source_id"),
        "external_reference": parcel.source_id or None,
        "is_return": bool(details.get("is_return")),
        "note": None,
        "to_post_number": _text(to_address, "po_box"),
        "total_order_value": _text(total, "value") or None,
        "total_order_value_currency": _text(total, "currency") or None,
        **_collo(document),
        "shipping_method_checkout_name": None,
        "carrier": {
            "code": parcel.carrier_code,
            "name": parcel.carrier_name or parcel.carrier_code,
        },
        "tracking_url": parcel.tracking_url,
        "to_address": {
            name: _text(to_address, name)
            for name in ("address_line_1", "address_line_2", "city", "postal_code", "country_code")
        },
    }


def _addressed(parcel: TrackedParcel, to_address: Document) -> dict[str, Any]:
    """The beginning of the object: what it is, to whom it goes, since when."""
    street, house_number = _street(to_address)
    return {
        "id": parcel.parcel_id,
        "address": f"{street} {house_number}".strip(),
        "address_2": _text(to_address, "address_line_2"),
        "address_divided": {"street": street, "house_number": house_number},
        "city": _text(to_address, "city"),
        "company_name": _text(to_address, "company_name"),
        "country": country(_text(to_address, "country_code")),
        "data": {},
        "date_created": parcels_moment(parcel.created_at),
        "date_announced": parcels_moment(parcel.announced_at),
        "date_updated": parcels_moment(parcel.updated_at),
        "email": mailbox(to_address) or "",
        "name": _text(to_address, "name"),
        "postal_code": _text(to_address, "postal_code"),
    }


def _collo(document: Document) -> dict[str, Any]:
    """The parcel as one of several, which we know nothing of, and its size."""
    length, width, height = _dimensions(document)
    return {
        "colli_tracking_number": "",
        "colli_uuid": None,
        "collo_nr": 0,
        "collo_count": 1,
        "awb_tracking_number": None,
        "box_number": None,
        "length": length,
        "width": width,
        "height": height,
    }


def parcels_moment(moment: datetime) -> str:
    """``19-05-2022 13:20:11``, the form of v2's parcels. It names no zone: ours is UTC."""
    return f"{moment.astimezone(UTC):%d-%m-%Y %H:%M:%S}"


def _text(part: Document, name: str) -> str:
    """What was told, ``""`` for nothing."""
    return str(part.get(name) or "")


def _street(address: Document) -> tuple[str, str]:
    """The street and the house number that was told apart; half of all senders tell it in both."""
    line, number = _text(address, "address_line_1"), _text(address, "house_number")
    if number and line.endswith(f" {number}"):
        line = line.removesuffix(number).rstrip()
    return line, number


def _method(document: Document) -> dict[str, Any]:
    """The shipping method: the sender's own, else the option's code. 0: it has no number."""
    told = (document.get("ship_with") or _NOTHING).get("properties") or _NOTHING
    number = _text(told, "user_shipping_method_id")
    is_number = number.isdecimal() and number.isascii() and len(number) < 16
    name = _text(told, "user_shipping_method_name") or _text(told, "shipping_option_code")
    return {"id": int(number) if is_number else 0, "name": name}


def _item(item: Document) -> dict[str, Any]:
    return {
        "description": _text(item, "description"),
        "quantity": item.get("quantity") or 1,
        "weight": _kilograms(item.get("weight")),
        "value": _price(item.get("price")),
        "hs_code": _text(item, "hs_code"),
        "origin_country": _text(item, "origin_country") or None,
        "product_id": _text(item, "product_id"),
        "properties": item.get("properties") or {},
        "sku": _text(item, "sku"),
        "return_reason": None,
        "return_message": None,
    }


def _kilograms(weight: Document | None) -> str:
    """``5.000``; ``0.000`` where nobody weighed it, since clients read a number there."""
    kilograms = _measured(weight or _NOTHING, "value", _KILOGRAMS) or Decimal()
    return f"{kilograms.quantize(_GRAM, ROUND_HALF_UP):f}"


def _price(price: Document | None) -> str:
    """With two digits behind the point or, where more were told, with all of them."""
    amount = Decimal(_text(price or _NOTHING, "value") or "0")
    return f"{amount if amount != amount.quantize(_CENT) else amount.quantize(_CENT):f}"


def _dimensions(document: Document) -> tuple[str | None, str | None, str | None]:
    """Length, width and height in centimetres to a tenth, ``52.3`` or ``48``; null: unknown."""
    told = (document.get("measurements") or _NOTHING).get("dimension") or _NOTHING
    length, width, height = (_centimetres(told, side) for side in ("length", "width", "height"))
    return length, width, height


def _centimetres(dimension: Document, side: str) -> str | None:
    size = _measured(dimension, side, _CENTIMETRES)
    if size is None:
        return None
    return f"{size.quantize(_TENTH, ROUND_HALF_UP):f}".removesuffix(".0")


def _measured(told: Document, name: str, units: Mapping[str, Decimal]) -> Decimal | None:
    value, unit = told.get(name), units.get(_text(told, "unit"))
    # By its digits: the float nearest to 0.0005 is below it.
    return None if value is None or unit is None else Decimal(repr(value)) * unit


def _insured(document: Document) -> int:
    """The insured value in whole units, rounded up as published; the form has no currency."""
    told = (document.get("insurance") or _NOTHING).get("insured_value") or _NOTHING
    return int(Decimal(_text(told, "value") or "0").to_integral_value(ROUND_CEILING))
