"""The v2 parcel object and the two calls that answer it, in our OpenAPI document: strict out."""

from milepost.api.published_refusals import V2_ERROR, everywhere, json_answer, refused
from milepost.api.v2_parcels import LONGEST_REFERENCE, PATH
from milepost.api.v3_fields import MOMENT_PATTERN, NO_NUL
from milepost.api.v3_schemas import TEXT, TEXT_OR_NULL, Schema, closed, listed
from milepost.tracking.status import v2_statuses

_WHOLE: Schema = {"type": "integer"}
_NOTHING: Schema = {"type": "object", "maxProperties": 0}
_NULL: Schema = {"type": "null"}
_NONE: Schema = {"type": "array", "maxItems": 0}
_MOMENT: Schema = {
    "type": "string",
    "pattern": "^[0-9]{2}-[0-9]{2}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}$",
    "description": "`DD-MM-YYYY HH:MM:SS`, UTC",
}
_WEIGHT: Schema = {"type": "string", "pattern": r"^[0-9]+[.][0-9]{3}$", "description": "kg"}
_SIZE: Schema = {
    "type": ["string", "null"],
    "pattern": r"^[0-9]+([.][0-9])?$",
    "description": "cm",
}
_ITEM = closed(
    {
        "description": TEXT,
        "quantity": {"type": "integer", "minimum": 1},
        "weight": _WEIGHT,
        "value": {"type": "string", "pattern": r"^-?[0-9]+[.][0-9]{2,}$"},
        "hs_code": TEXT,
        "origin_country": TEXT_OR_NULL,
        "product_id": TEXT,
        "properties": {"type": "object"},
        "sku": TEXT,
        "return_reason": _NULL,
        "return_message": _NULL,
    }
)
PARCEL = closed(
    {
        "id": _WHOLE,
        "address": TEXT,
        "address_2": TEXT,
        "address_divided": closed({"street": TEXT, "house_number": TEXT}),
        "city": TEXT,
        "company_name": TEXT,
        "country": closed({"iso_2": TEXT, "iso_3": TEXT, "name": TEXT}),
        "data": _NOTHING,
        "date_created": _MOMENT,
        "date_announced": _MOMENT,
        "date_updated": _MOMENT,
        "email": TEXT,
        "name": TEXT,
        "postal_code": TEXT,
        "reference": TEXT,
        "shipment": closed({"id": _WHOLE, "name": TEXT}),
        "status": closed(
            {"id": {"type": "integer", "enum": [one.v2_id for one in v2_statuses()]}}
            | {"message": TEXT}
        ),
        "to_service_point": _NULL,
        "telephone": TEXT,
        "tracking_number": TEXT,
        "weight": _WEIGHT,
        "label": _NOTHING,
        "customs_declaration": _NOTHING,
        "order_number": TEXT,
        "insured_value": _WHOLE,
        "total_insured_value": _WHOLE,
        "to_state": TEXT_OR_NULL,
        "customs_invoice_nr": TEXT,
        "customs_shipment_type": _NULL,
        "parcel_items": listed(_ITEM),
        "documents": _NONE,
        "type": {"const": "parcel"},
        "shipment_uuid": _NULL,
        "shipping_method": _WHOLE,
        "external_order_id": TEXT,
        "external_shipment_id": TEXT,
        "external_reference": TEXT_OR_NULL,
        "is_return": {"type": "boolean"},
        "note": _NULL,
        "to_post_number": TEXT,
        "total_order_value": TEXT_OR_NULL,
        "total_order_value_currency": TEXT_OR_NULL,
        "colli_tracking_number": TEXT,
        "colli_uuid": _NULL,
        "collo_nr": {"const": 0},
        "collo_count": {"const": 1},
        "awb_tracking_number": _NULL,
        "box_number": _NULL,
        "length": _SIZE,
        "width": _SIZE,
        "height": _SIZE,
        "shipping_method_checkout_name": _NULL,
        "carrier": closed({"code": TEXT, "name": TEXT}),
        "tracking_url": TEXT,
        "to_address": closed(
            dict.fromkeys(
                ("address_line_1", "address_line_2", "city", "postal_code", "country_code"), TEXT
            )
        ),
    }
)
COMPONENTS: Schema = {"V2Parcel": PARCEL}
_PARCEL: Schema = {"$ref": "#/components/schemas/V2Parcel"}
_PAGE = closed({"next": TEXT_OR_NULL, "previous": TEXT_OR_NULL, "parcels": listed(_PARCEL)})
_SINCE: Schema = {"anyOf": [{"type": "string", "pattern": MOMENT_PATTERN}, {"const": ""}]}
_REFERENCE: Schema = {"type": "string", "maxLength": LONGEST_REFERENCE, "pattern": NO_NUL}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_FILTERS = (
    _query(
        "tracking_number",
        {"type": "string", "pattern": NO_NUL},
        "Every parcel that has or had this number; blanks and case don't count.",
    ),
    _query(
        "ids",
        {"type": "string", "pattern": "^([1-9][0-9]{0,17}(,[1-9][0-9]{0,17}){0,99})?$"},
        "Ids of parcels, separated by commas.",
    ),
    _query(
        "parcel_status",
        {"type": "string", "enum": ["", *(str(one.v2_id) for one in v2_statuses())]},
        "The id of a status.",
    ),
    _query("external_reference", _REFERENCE, "The `source_id` of the registration, as a whole."),
    _query("order_number", _REFERENCE, "The order number, as a whole."),
    _query("updated_after", _SINCE, "Changed at this time or later."),
    _query("announced_after", _SINCE, "Announced at this time or later."),
    _query(
        "cursor",
        {"type": "string", "pattern": "^([A-Za-z0-9_-]{32})?$"},
        "As it stands in `next`; fits only the list it was given for.",
    ),
)
_REFUSALS: Schema = {**refused(V2_ERROR, 404), **everywhere(V2_ERROR, V2_ERROR)}
PATHS: Schema = {
    PATH: {
        "get": {
            "tags": ["Parcels (v2)"],
            "summary": "List parcels in the v2 form, the last registered first",
            "parameters": list(_FILTERS),
            "responses": {"200": json_answer(_PAGE), **_REFUSALS},
        }
    },
    f"{PATH}/{{parcel_id}}": {
        "get": {
            "tags": ["Parcels (v2)"],
            "summary": "A parcel in the v2 form, as classic webhooks carry it",
            "parameters": [
                {
                    "name": "parcel_id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
                }
            ],
            "responses": {"200": json_answer(closed({"parcel": _PARCEL})), **_REFUSALS},
        }
    },
}
