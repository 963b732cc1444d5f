"""The inbox of unmapped codes in the OpenAPI document."""

from typing import get_args

from milepost.api.milepost_parcel_schemas import reading
from milepost.api.v3_schemas import MOMENT, TEXT, Schema, closed, listed, one_of_words
from milepost.parcels.unmapped_inbox import State

_CODE = closed(
    {
        "carrier_code": TEXT,
        "code": TEXT,
        "state": one_of_words(get_args(State)),
        "events": {"type": "integer"},
        "first_seen_at": MOMENT,
        "last_seen_at": MOMENT,
        "examples": listed(closed({"parcel_id": TEXT, "text": TEXT, "recorded_at": MOMENT})),
    }
)
COMPONENTS: Schema = {"UnmappedCode": _CODE}
_REFERENCE: Schema = {"$ref": "#/components/schemas/UnmappedCode"}
_NOT_FOUND: Schema = {
    "404": {
        "description": "No event of the account holds it, or every one is read",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
}


def _parameter(name: str, where: str, schema: Schema, description: str) -> Schema:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": description,
        "schema": schema,
    }


PATHS: Schema = {
    "/api/milepost/v1/unmapped-codes": reading(
        "Codes of the account's events that no rule reads",
        closed({"data": listed(_REFERENCE), "is_cut": {"type": "boolean"}}),
        _parameter("carrier_code", "query", TEXT, "Of this carrier and all it answers for."),
        _parameter(
            "code",
            "query",
            TEXT,
            "This code, whatever it holds; empty for events that came without one.",
        ),
        _parameter("state", "query", one_of_words(get_args(State)), "All when left out."),
        tag="Carriers",
    ),
    "/api/milepost/v1/unmapped-codes/{carrier_code}/{code}": reading(
        "One such code",
        _REFERENCE,
        _parameter("carrier_code", "path", TEXT, "As the list gives it."),
        _parameter(
            "code",
            "path",
            TEXT,
            "As the list gives it; it may hold slashes, and is not empty: ?code= has those.",
        ),
        refusals=_NOT_FOUND,
        tag="Carriers",
    ),
}
