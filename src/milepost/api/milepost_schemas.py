"""``/api/milepost/v1`` in our OpenAPI document: errors are problem details (RFC 9457)."""

from milepost.api.milepost_v1 import ADVANCE, ADVANCED
from milepost.api.v3_fields import ANY_OBJECT
from milepost.api.v3_schemas import TEXT, Schema, closed, listed

_FIELD = closed({"loc": listed({"anyOf": [TEXT, {"type": "integer"}]}), "msg": TEXT, "type": TEXT})
_PROBLEM = closed(
    {"type": TEXT, "title": TEXT, "status": {"type": "integer"}, "code": TEXT, "detail": TEXT},
    {"errors": listed(_FIELD), "request_id": TEXT},
)
_MEANINGS = {
    400: "The request can't be understood",
    401: "No credentials, or wrong ones",
    403: "The account is suspended",
    408: "The body did not come in time",
    409: "It conflicts with what there is",
    413: "The body is over 1 MiB",
    414: "The address is over 8 KB",
    415: "The body is not JSON",
    422: "Something in the request is wrong; names the fields",
    431: "The headers are over 32 KB",
    500: "A fault of ours",
    503: "The database can't be asked now",
}
REFUSALS: Schema = {
    str(status): {
        "description": meaning,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
    for status, meaning in _MEANINGS.items()
}

COMPONENTS: Schema = {"Problem": _PROBLEM}
PATHS: Schema = {
    "/api/milepost/v1/sandbox/advance": {
        "post": {
            "tags": ["Sandbox"],
            "summary": "Move the clock of the account's simulated carriers forward",
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {**ADVANCE, **ANY_OBJECT}}},
            },
            "responses": {
                "200": {
                    "description": "How far ahead they are now",
                    "content": {"application/json": {"schema": ADVANCED}},
                },
                **REFUSALS,
                "429": {"description": "Over the account's budget; empty, with Retry-After"},
            },
        }
    }
}
