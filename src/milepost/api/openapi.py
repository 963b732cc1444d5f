"""Our own OpenAPI document: the liberal input we take, the strict output we send.

The published APIs are described by hand, since their endpoints read requests themselves; whatever
else FastAPI serves describes itself.
"""

from typing import Any

from fastapi import FastAPI

from milepost.api import (
    integration_log_schemas,
    integration_schemas,
    json_schemas,
    milepost_carrier_schemas,
    milepost_change_schemas,
    milepost_delivery_schemas,
    milepost_email_schemas,
    milepost_event_schemas,
    milepost_parcel_schemas,
    milepost_recognise_schemas,
    milepost_schemas,
    milepost_unmapped_schemas,
    v2_parcel_schemas,
    v3_event_subscription_schemas,
    webhook_schemas,
)
from milepost.api.published_refusals import (
    DETAIL,
    ERRORS,
    FIELDS,
    V2_ERROR,
    everywhere,
    json_answer,
    refused,
)
from milepost.api.v3_fields import ANY_VALUE, ANY_VALUE_SCHEMA, NO_NUL, NUMBER_SCHEMA
from milepost.api.v3_models import RegistrationRequest
from milepost.api.v3_schemas import COMPONENTS, TEXT, Schema, closed, listed

_ABOUT = """Parcel tracking that speaks Sendcloud's Parcel Tracking API.

Every request below `/api` takes HTTP Basic (public key, secret key) or a bearer token from
`/oauth2/token`. Writes take an `Idempotency-Key` header (1 to 255 printable ASCII characters): the
same key and request get the first answer byte for byte for 48 hours, another request 422. Batches
and what answers with a secret take none.
Look-ups carry an `ETag` and answer `If-None-Match` with 304. Budgets are told in `RateLimit-*`
headers; over them 429 has no body and a `Retry-After` in seconds.
"""
_SECURITY: list[dict[str, list[str]]] = [{"basic": []}, {"oauth2": ["api"]}]
_SCHEMES: Schema = {
    "basic": {"type": "http", "scheme": "basic", "description": "Public key and secret key."},
    "oauth2": {
        "type": "oauth2",
        "flows": {
            "clientCredentials": {"tokenUrl": "/oauth2/token", "scopes": {"api": "The whole API."}}
        },
    },
}


def describe(api: FastAPI, public_url: str = "") -> Schema:
    """The OpenAPI document of the whole API."""
    document: Schema = api.openapi()
    given: Schema = RegistrationRequest.model_json_schema(
        ref_template="#/components/schemas/{model}"
    )
    parts = given.pop("$defs")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {**parts, "Registration": given, "AnyValue": ANY_VALUE_SCHEMA}
    schemas |= {**COMPONENTS, **milepost_schemas.COMPONENTS, "V2Tracking": _V2_TRACKING}
    schemas |= milepost_parcel_schemas.COMPONENTS | milepost_change_schemas.COMPONENTS
    schemas |= milepost_carrier_schemas.COMPONENTS | milepost_recognise_schemas.COMPONENTS
    schemas |= milepost_unmapped_schemas.COMPONENTS | v2_parcel_schemas.COMPONENTS
    schemas |= webhook_schemas.COMPONENTS | v3_event_subscription_schemas.COMPONENTS
    schemas |= integration_schemas.COMPONENTS | milepost_delivery_schemas.COMPONENTS
    schemas |= milepost_event_schemas.COMPONENTS
    document["components"]["securitySchemes"] = _SCHEMES
    document["info"]["description"] = _ABOUT
    document["security"] = _SECURITY
    document["webhooks"] = webhook_schemas.WEBHOOKS
    document["servers"] = [{"url": public_url.rstrip("/") or "/"}]
    own = {**milepost_schemas.PATHS, **milepost_parcel_schemas.PATHS, **json_schemas.PATHS}
    own |= milepost_carrier_schemas.PATHS | milepost_recognise_schemas.PATHS
    own |= milepost_unmapped_schemas.PATHS | v2_parcel_schemas.PATHS
    own |= v3_event_subscription_schemas.PATHS | integration_schemas.PATHS
    own |= integration_log_schemas.PATHS
    own |= milepost_event_schemas.PATHS
    own |= milepost_email_schemas.PATHS
    own |= milepost_delivery_schemas.PATHS
    for path, operations in milepost_change_schemas.PATHS.items():
        own[path] = own.get(path, {}) | operations
    document["paths"] = {**_PATHS, **own, **document["paths"]}
    named: Schema = _named(document)
    return named


def _named(part: Any) -> Any:
    """The document with a reference wherever any value may stand."""
    if part == ANY_VALUE:
        return _ref("AnyValue")
    if isinstance(part, dict):
        return {key: _named(value) for key, value in part.items()}
    return [_named(item) for item in part] if isinstance(part, list) else part


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_NUMBER: Schema = {
    "name": "tracking_number",
    "in": "path",
    "required": True,
    "description": "Blanks and case don't count; a slash in it is sent as %2F.",
}
_CARRIER: Schema = {
    "name": "carrier_code",
    "in": "query",
    "description": "Only a parcel of this carrier; without it the newest parcel of the number.",
    "schema": {"type": "string", "pattern": NO_NUL},
}
_ORDER: Schema = {
    "name": "order",
    "in": "query",
    "description": "`desc`: newest event first.",
    "schema": {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
}
_V2_STATUS = closed(
    dict.fromkeys(
        (
            "carrier_update_timestamp",
            "parcel_status_history_id",
            "parent_status",
            "carrier_code",
            "carrier_message",
        ),
        TEXT,
    )
)
_V2_TRACKING = closed(
    {
        "parcel_id": TEXT,
        "carrier_code": TEXT,
        "created_at": TEXT,
        "is_return": {"type": "boolean"},
        "is_to_service_point": {"type": "boolean"},
        "is_mail_box": {"type": "boolean"},
        "statuses": listed(_V2_STATUS),
    },
    {
        "carrier_tracking_url": TEXT,
        "sendcloud_tracking_url": TEXT,
        "expected_delivery_date": {"type": "string", "format": "date"},
    },
)
_STATUS_V2 = closed({"id": {"type": "integer"}, "message": TEXT})
_STATUS_V3 = closed({"code": TEXT, "message": TEXT})


# What a client does with a registration; tools that follow links test the calls in this order.
_NEXT: Schema = {
    name: {
        "operationId": operation,
        "parameters": {"tracking_number": "$response.body#/tracking_numbers/0/tracking_number"},
    }
    for name, operation in (("look_up", "look_up_v3"), ("look_up_v2", "look_up_v2"))
}
_EXAMPLE: Schema = {
    "announced_at": "2026-01-05T09:00:00Z",
    "source_id": "order-1001",
    "from_address": {"country_code": "NL", "postal_code": "5611EM"},
    "to_address": {"country_code": "DE", "postal_code": "10115"},
    "ship_with": {
        "type": "shipping_option_code",
        "properties": {"shipping_option_code": "sandbox:standard"},
    },
    "tracking_number": {"carrier_code": "sandbox", "tracking_number": "SBX-HAPPY-8640X-0001"},
}


def _operation(tag: str, summary: str, responses: Schema, **more: Any) -> Schema:
    return {"tags": [tag], "summary": summary, **more, "responses": responses}


def _v3_statuses() -> Schema:
    found = json_answer(closed({"data": listed(_STATUS_V3)}))
    return {
        "get": _operation(
            "Statuses", "List the v3 statuses", {"200": found, **everywhere(ERRORS, ERRORS)}
        )
    }


_NO_SUCH_KEY: Schema = {
    "type": "object",
    "xml": {"name": "Error"},
    "properties": dict.fromkeys(("Code", "Message", "Key", "RequestId", "HostId"), TEXT),
}
_PATHS: Schema = {
    "/api/v3/parcels/tracking": {
        "post": _operation(
            "Parcel Tracking",
            "Register a parcel for tracking",
            {
                "200": {**json_answer(_ref("RegisteredParcel")), "links": _NEXT},
                **refused(FIELDS, 422),
                **refused(DETAIL, 408, 409, 413, 415),
                **everywhere(ERRORS, DETAIL),
            },
            requestBody={
                "required": True,
                "content": {
                    "application/json": {"schema": _ref("Registration"), "example": _EXAMPLE}
                },
            },
        )
    },
    "/api/v3/parcels/tracking/{tracking_number}": {
        "get": _operation(
            "Parcel Tracking",
            "Look a parcel up by its number",
            {
                "200": json_answer(_ref("TrackedParcel")),
                "304": {"description": "Nothing new since the ETag"},
                **refused(DETAIL, 404),
                **refused(FIELDS, 422),
                **everywhere(ERRORS, DETAIL),
            },
            operationId="look_up_v3",
            parameters=[{**_NUMBER, "schema": NUMBER_SCHEMA}, _CARRIER, _ORDER],
        )
    },
    "/api/v2/tracking/{tracking_number}": {
        "get": _operation(
            "Parcel Tracking",
            "Look a parcel up by its number (v2)",
            {
                "200": json_answer(_ref("V2Tracking")),
                "304": {"description": "Nothing new since the ETag"},
                "404": {
                    "description": "Parcel does not exist",
                    "content": {
                        "application/xml": {"schema": _NO_SUCH_KEY},
                        "application/json": {"schema": V2_ERROR},
                    },
                },
                **refused(V2_ERROR, 422),
                **everywhere(V2_ERROR, V2_ERROR),
            },
            operationId="look_up_v2",
            parameters=[{**_NUMBER, "schema": {"type": "string", "minLength": 1}}, _CARRIER],
        )
    },
    "/api/v2/parcels/statuses": {
        "get": _operation(
            "Statuses",
            "List the v2 statuses",
            {"200": json_answer(listed(_STATUS_V2)), **everywhere(V2_ERROR, V2_ERROR)},
        )
    },
    "/api/v3/parcels/statuses": _v3_statuses(),
    "/api/v3/parcel-statuses": _v3_statuses(),
}
