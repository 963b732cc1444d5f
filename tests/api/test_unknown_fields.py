"""A change names every field that nobody reads, and the OpenAPI document refuses the same ones."""

from typing import Any

import jsonschema
import pytest
from tests.api.samples import registration

from milepost.api.milepost_change_schemas import COMPONENTS
from milepost.api.unknown_fields import unknown_fields

ITEM = {
    "description": "Socks",
    "weight": {"value": 1, "unit": "kg"},
    "price": {"value": "1.00", "currency": "EUR"},
}
BY_OPTION = {"type": "shipping_option_code", "properties": {"shipping_option_code": "dhl:x"}}
KNOWN: list[dict[str, Any]] = [
    {},
    registration("N1"),
    {"tracking_number": "N2", "carrier_code": "dhl"},
    {"tracking_number": {"tracking_url": "https://example.org"}},
    {"insurance": {"value": "5.00", "currency": "EUR"}},
    {"insurance": {"insured_value": {"value": 5, "currency": "EUR"}, "policy_id": "P"}},
    {"parcel_items": [ITEM | {"properties": {"any": {"name": 1}}}]},
    {"shipment": {"order": {"order_number": "7", "total_order_price": None}}, "details": None},
    {"ship_with": BY_OPTION},
]
UNKNOWN: list[tuple[dict[str, Any], list[tuple[str | int, ...]]]] = [
    ({"adress": {}, "acount": None}, [("adress",), ("acount",)]),
    ({"shipment": {"order_number": "7"}}, [("shipment", "order_number")]),
    ({"shipment": {"order": {"number": "7"}}}, [("shipment", "order", "number")]),
    ({"shipment": {"order_number": None}}, [("shipment", "order_number")]),
    ({"to_address": {"zip": "1"}}, [("to_address", "zip")]),
    ({"tracking_number": {"number": "1"}}, [("tracking_number", "number")]),
    ({"insurance": {"amount": 5}}, [("insurance", "amount")]),
    (
        {"parcel_items": [ITEM, ITEM | {"weight": {"kg": 1}, "color": "red"}]},
        [("parcel_items", 1, "weight", "kg"), ("parcel_items", 1, "color")],
    ),
    (
        {"ship_with": BY_OPTION | {"options": 1}},
        [("ship_with", "options")],
    ),
    (
        {"measurements": {"weight": {"value": 1, "unit": "kg", "net": True}}},
        [("measurements", "weight", "net")],
    ),
]


def by_the_document(change: dict[str, Any]) -> bool:
    """Whether our OpenAPI document lets a change pass."""
    schema = {"$ref": "#/components/schemas/Change", "components": {"schemas": COMPONENTS}}
    return bool(jsonschema.Draft202012Validator(schema).is_valid(change))


@pytest.mark.parametrize("change", KNOWN)
def test_what_a_registration_has_may_be_changed(change: dict[str, Any]) -> None:
    assert list(unknown_fields(change)) == []
    assert by_the_document(change)


@pytest.mark.parametrize(("change", "where"), UNKNOWN)
def test_every_other_field_is_named(
    change: dict[str, Any], where: list[tuple[str | int, ...]]
) -> None:
    assert [one.loc for one in unknown_fields(change)] == [("body", *one) for one in where]
    assert not by_the_document(change)


@pytest.mark.parametrize("odd", [5, "text", None, [], [[{}]], [5]])
def test_what_is_no_part_at_all_is_left_to_its_reader(odd: Any) -> None:
    for name in ("parcel_items", "insurance"):
        assert list(unknown_fields({name: odd})) == []
