"""Changing parcels in our OpenAPI document: batches, changes, erasures, own events."""

from milepost.api.milepost_changes import MOST_REASON
from milepost.api.milepost_parcel_schemas import PARCEL_ID
from milepost.api.milepost_schemas import REFUSALS
from milepost.api.own_events import OwnEvents
from milepost.api.v3_fields import ANY_OBJECT, CARRIER_SCHEMA, NO_NUL, NUMBER_SCHEMA
from milepost.api.v3_models import RegistrationRequest
from milepost.api.v3_schemas import MOMENT, TEXT, TEXT_OR_NULL, Schema, closed, listed

_WHOLE: Schema = {"type": "integer", "minimum": 0}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


_RECEIPT = closed(
    {
        "parcel_id": TEXT,
        "erased_at": MOMENT,
        "actor": TEXT,
        "erased": {"type": "object", "additionalProperties": _WHOLE},
    }
)
_RESULT = closed(
    {"index": _WHOLE, "status": {"type": "integer"}},
    {
        "parcel": _ref("Parcel"),
        "error": _ref("Problem"),
        "parcel_id": TEXT_OR_NULL,
        "recognised": _ref("Candidate"),
        "candidates": listed(_ref("Candidate")),
    },
)
_BATCH_ANSWER = closed(
    {
        "results": listed(_ref("BatchResult")),
        "registered": _WHOLE,
        "refused": _WHOLE,
        "complete": {"type": "boolean"},
        "error": {"anyOf": [{"type": "null"}, _ref("Problem")]},
    }
)
_given = RegistrationRequest.model_json_schema(ref_template="#/components/schemas/Changed{model}")
# A registration passes over fields it does not know, a change refuses them.
_parts: Schema = {
    name: {key: rule for key, rule in part.items() if key != "propertyNames"}
    | {"additionalProperties": False}
    for name, part in _given["$defs"].items()
}


def _merged(name: str) -> Schema:
    """A part that every parcel has: what a change leaves out stays as it is."""
    return {key: rule for key, rule in _parts[name].items() if key != "required"}


def _number() -> Schema:
    """A number, or what changes of it; the carrier may stand beside it."""
    part = _merged("TrackingNumber")
    del part["anyOf"]
    return {
        "anyOf": [
            {**part, "properties": {**part["properties"], "tracking_number": NUMBER_SCHEMA}},
            NUMBER_SCHEMA,
        ]
    }


_CHANGE: Schema = {
    "type": "object",
    "description": "JSON merge patch (RFC 7396) of a registration: objects merge, null removes. "
    "Of what a parcel may be without (`insurance`, `return_price` ...) a part will do where the "
    "parcel has the rest.",
    "properties": _given["properties"]
    | {
        "from_address": _merged("Address"),
        "to_address": _merged("Address"),
        "tracking_number": _number(),
        "carrier_code": {"anyOf": [CARRIER_SCHEMA, {"type": "null"}]},
    },
    "additionalProperties": False,
}
_told = OwnEvents.model_json_schema(ref_template="#/components/schemas/{model}")
COMPONENTS: Schema = {
    **_told.pop("$defs"),
    "OwnEvents": _told,
    "Change": _CHANGE,
    **{
        f"Changed{name}": part
        for name, part in _parts.items()
        if name not in ("Address", "TrackingNumber")  # merged where they stand
    },
    "Receipt": _RECEIPT,
    "BatchResult": _RESULT,
    "BatchAnswer": _BATCH_ANSWER,
}

_MISSING: Schema = {"404": {**REFUSALS["422"], "description": "No such parcel in this account"}}
_REASON: Schema = {
    "type": "object",
    "properties": {"reason": {"type": "string", "maxLength": MOST_REASON, "pattern": NO_NUL}},
    **ANY_OBJECT,
}


def _operation(
    summary: str, answer: Schema, description: str = "", body: Schema | None = None
) -> Schema:
    operation: Schema = {
        "tags": ["Parcels"],
        "summary": summary,
        "description": description,
        "responses": {
            "200": {"description": "Done", "content": _json(answer)},
            **REFUSALS,
            "429": {"description": "Over the account's budget; empty, with Retry-After"},
        },
    }
    return operation | ({"requestBody": body} if body else {})


def _changing(
    summary: str, answer: Schema, description: str = "", body: Schema | None = None
) -> Schema:
    operation = _operation(summary, answer, description, body)
    operation["parameters"] = [PARCEL_ID]
    operation["responses"] |= _MISSING
    return operation


_PARCEL = _ref("Parcel")
PATHS: Schema = {
    "/api/milepost/v1/parcels/batch": {
        "post": _operation(
            "Register many parcels",
            _ref("BatchAnswer"),
            "Up to 10,000 rows and 32 MiB, as a JSON array or, with `application/x-ndjson`, one "
            "registration a line. Every row gets its verdict; a wrong row costs no other. Where "
            "`complete` is false the rest was not read, and `error` says why. 500 rows cost one "
            "write of the budget; over budget the batch waits. Takes no `Idempotency-Key`: a row "
            "that is there already says `taken`, and by which parcel. A row without a carrier code "
            "takes the carrier that is clearly ahead, told as `recognised`, and may leave "
            "`ship_with` out, too; where none is, the row is refused (`carrier_unclear`) with the "
            "`candidates`.",
            {
                "required": True,
                # Each row is judged by itself, so anything may stand in its place.
                "content": _json(listed({"anyOf": [_ref("Registration"), {}]})),
            },
        )
    },
    "/api/milepost/v1/parcels/{parcel_id}": {
        "patch": _changing(
            "Change what a parcel was registered with",
            _PARCEL,
            "Events stay. A new number or carrier is asked about at once; the old number still "
            "finds the parcel and is free for others.",
            {"required": True, "content": _json(_ref("Change"))},
        ),
        "delete": _changing(
            "Erase a parcel",
            _ref("Receipt"),
            "Everything of it is gone with the answer; a repeat gives the same receipt.",
        ),
    },
    "/api/milepost/v1/erasures/{parcel_id}": {
        "get": _changing("The receipt of an erased parcel", _ref("Receipt"))
    },
    "/api/milepost/v1/parcels/{parcel_id}/check": {
        "post": _changing(
            "Ask the carrier now",
            _PARCEL,
            "Due at once; the carrier's quota decides when it is asked. 409 for a stopped parcel.",
        )
    },
    "/api/milepost/v1/parcels/{parcel_id}/stop": {
        "post": _changing(
            "Watch a parcel no more", _PARCEL, body={"required": False, "content": _json(_REASON)}
        )
    },
    "/api/milepost/v1/parcels/{parcel_id}/resume": {
        "post": _changing("Watch a stopped parcel again", _PARCEL)
    },
    "/api/milepost/v1/parcels/{parcel_id}/events": {
        "post": _changing(
            "Tell events of an own fleet, of the house or of a claim",
            _PARCEL,
            "An event told twice (same kind, code and minute) is one event.",
            {"required": True, "content": _json(_ref("OwnEvents"))},
        )
    },
}
