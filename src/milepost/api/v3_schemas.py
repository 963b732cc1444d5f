"""What the v3 tracking answers look like, strict out: the published schemas and our extra keys."""

from typing import Any

from milepost.api.v3_parts import Address
from milepost.tracking.events import Precision
from milepost.tracking.expectation import CARRIER, MILEPOST, SENDER
from milepost.tracking.parcel import MonitoringState
from milepost.tracking.status import STATUSES
from milepost.tracking.vocabulary import EventType, ExceptionCode, Phase, StatusType, SubStatus

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
MOMENT: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    "examples": ["2024-01-01T00:00:00Z"],
}


def closed(required: Schema, optional: Schema | None = None) -> Schema:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


def listed(items: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": items}


def one_of_words(words: Any) -> Schema:
    """One of the words of an enumeration."""
    return {"type": "string", "enum": [str(word) for word in words]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


ADDRESS = closed(
    {"country_code": TEXT, "postal_code": TEXT},
    dict.fromkeys(sorted(Address.nullable), TEXT_OR_NULL),
)
PRICE = closed({"value": {"type": "string", "pattern": "[0-9]"}, "currency": TEXT})
WEIGHT = closed(
    {"value": {"type": "number"}, "unit": {"type": "string", "enum": ["kg", "g", "lbs", "oz"]}}
)
ITEM = closed(
    {
        "description": {"type": "string", "minLength": 1, "maxLength": 255},
        "quantity": {"type": "integer", "minimum": 1},
        "weight": WEIGHT,
        "price": PRICE,
        "hs_code": {"type": "string", "maxLength": 12},
    },
    {
        "item_id": {"type": "string", "minLength": 1},
        "source_id": TEXT,
        "origin_country": TEXT,
        "sku": TEXT,
        "product_id": TEXT,
        "mid_code": TEXT_OR_NULL,
        "material_content": TEXT_OR_NULL,
        "intended_use": TEXT_OR_NULL,
        "dangerous_goods": {"type": "object", "additionalProperties": TEXT},
        "dds_reference": TEXT_OR_NULL,
        "taric_doc_code": TEXT_OR_NULL,
        "manufacturer_product_id": TEXT_OR_NULL,
        "manufacturer_product_id_std": TEXT_OR_NULL,
        "properties": {"type": "object"},
    },
)
_CONTRACT: Schema = {"type": "integer", "minimum": 1}
_METHOD = {"user_shipping_method_name": TEXT_OR_NULL, "user_shipping_method_id": TEXT_OR_NULL}
SHIP_WITH: Schema = {
    "oneOf": [
        closed({"type": {"const": kind}, "properties": closed(required, _METHOD)})
        for kind, required in (
            ("shipping_option_code", {"shipping_option_code": TEXT, "contract_id": _CONTRACT}),
            ("contract", {"contract_id": _CONTRACT}),
        )
    ]
}
DETAILS = closed(
    {},
    {
        "brand_id": {"type": "integer"},
        "integration_id": {"type": "integer"},
        "is_return": {"type": "boolean"},
        "is_mail_box": {"type": "boolean"},
        "is_to_service_point": {"type": "boolean"},
        "expected_delivery_date": {"type": "string", "format": "date"},
    },
)
TRACKING_NUMBER = closed(
    {"carrier_code": TEXT, "tracking_number": {"type": "string", "minLength": 1, "maxLength": 255}},
    {
        "tracking_identifier": {"type": "string", "minLength": 1, "maxLength": 255},
        "tracking_url": {"type": "string", "minLength": 1},
    },
)
LOCATION: Schema = {
    "anyOf": [
        {"type": "null"},
        closed(
            dict.fromkeys(
                ("city", "country", "house_number", "postal_code", "street", "depot"), TEXT_OR_NULL
            )
            | {"service_point_id": {"type": ["integer", "null"]}}
        ),
    ]
}
EVENT = closed(
    {
        "event_at": MOMENT,
        "event_type": one_of_words(EventType),
        "status_code": one_of_words(Phase),
        "status_description": TEXT,
        "status_type": one_of_words(StatusType),
        "sub_status_code": one_of_words(SubStatus),
        "event_id": TEXT,
        "timestamp": MOMENT,
        "phase": one_of_words(Phase),
        "exception": one_of_words(ExceptionCode),
        "sub_status": one_of_words(SubStatus),
        "description": TEXT,
        "status": one_of_words(STATUSES),
        "parent_status": TEXT,
        "precision": one_of_words(Precision),
        "stated_at": TEXT,
        "location_details": LOCATION,
    }
)
_REQUIRED: Schema = {
    "announced_at": MOMENT,
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "details": DETAILS,
    "from_address": _ref("AddressOut"),
    "to_address": _ref("AddressOut"),
    "source_id": TEXT,
    "ship_with": SHIP_WITH,
    "tracking_numbers": listed(TRACKING_NUMBER),
    "status": one_of_words(STATUSES),
    "parent_status": TEXT,
    "monitoring": closed({"state": one_of_words(MonitoringState), "reason": TEXT}),
    "warnings": listed(closed({"code": TEXT, "message": TEXT})),
}
_OPTIONAL: Schema = {
    "parcel_items": listed(ITEM),
    "insurance": {"type": "object"},
    "measurements": {"type": "object"},
    "return_price": PRICE,
    "shipment": {"type": "object"},
    "expected_delivery": closed(
        {
            "source": {"type": "string", "enum": [CARRIER, SENDER, MILEPOST]},
            "day": {"type": ["string", "null"], "format": "date"},
            "earliest": {"type": ["string", "null"], "format": "date-time"},
            "latest": {"type": ["string", "null"], "format": "date-time"},
        }
    ),
}
COMPONENTS: Schema = {
    "AddressOut": ADDRESS,
    "RegisteredParcel": closed(_REQUIRED, _OPTIONAL),
    "TrackedParcel": closed({**_REQUIRED, "events": listed(EVENT)}, _OPTIONAL),
}
