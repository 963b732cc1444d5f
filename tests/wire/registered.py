"""A registration that says all that the v2 parcel object has a place for."""

from typing import Any

TO = {
    "name": "Mira Vos",
    "company_name": "Vos BV",
    "address_line_1": "Reduitlaan 45",
    "house_number": "45",
    "address_line_2": "3rd floor",
    "postal_code": "4814 DC",
    "city": "Breda",
    "country_code": "NL",
    "state_province_code": "NB",
    "phone_number": "+31200000000",
    "email": "mira@example.org",
    "po_box": "77",
}
FULL: dict[str, Any] = {
    "announced_at": "2026-01-05T09:00:00Z",
    "source_id": "order-1",
    "from_address": {"country_code": "NL", "postal_code": "5611 EM"},
    "to_address": TO,
    "ship_with": {
        "type": "shipping_option_code",
        "properties": {
            "shipping_option_code": "dhl:drop",
            "user_shipping_method_name": "Drop off",
            "user_shipping_method_id": "1602",
        },
    },
    "tracking_number": {"carrier_code": "dhl", "tracking_number": "JVGL1"},
    "details": {"is_return": True},
    "parcel_items": [
        {
            "description": "Pen",
            "quantity": 3,
            "weight": {"value": 10, "unit": "g"},
            "price": {"value": 0.5, "currency": "EUR"},
            "hs_code": "9608",
            "origin_country": "CN",
            "sku": "PEN",
            "product_id": "p1",
            "properties": {"colour": "blue"},
        }
    ],
    "insurance": {"insured_value": {"value": "72.35", "currency": "EUR"}},
    "measurements": {
        "weight": {"value": 2, "unit": "lbs"},
        "dimension": {"length": 0.5, "width": 0.123, "height": 0.48, "unit": "m"},
    },
    "shipment": {
        "source_id": "s-9",
        "order": {
            "order_number": "#77",
            "source_id": "o-7",
            "total_order_price": {"value": "99.99", "currency": "EUR"},
        },
    },
}
