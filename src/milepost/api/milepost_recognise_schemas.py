"""Recognising numbers in the OpenAPI document."""

from typing import get_args

from milepost.api.milepost_schemas import REFUSALS
from milepost.api.v3_fields import NO_NUL
from milepost.api.v3_schemas import TEXT, TEXT_OR_NULL, Schema, closed, listed, one_of_words
from milepost.carriers.checksums import CHECKS
from milepost.carriers.recognise import MOST_CERTAIN, Check
from milepost.carriers.scanned import MOST

_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_COUNTRY: Schema = {"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^([A-Za-z]{2})?$"}]}
_CANDIDATE = closed(
    {
        "carrier_code": TEXT,
        "carrier_name": TEXT,
        "tracking_number": TEXT,
        "probability": {**_SHARE, "maximum": MOST_CERTAIN},
        "check_digit": closed(
            {
                "verdict": one_of_words(get_args(Check)),
                "name": {"anyOf": [{"type": "null"}, one_of_words(CHECKS)]},
            }
        ),
        "reasons": listed(TEXT),
        "is_asked": {"type": "boolean"},
    }
)
_RECOGNITION = closed(
    {
        "best": TEXT_OR_NULL,
        "candidates": listed({"$ref": "#/components/schemas/Candidate"}),
        "unknown_probability": _SHARE,
        "postal_code": TEXT_OR_NULL,
        "country": TEXT_OR_NULL,
    }
)
_ASKED: Schema = {
    "type": "object",
    "properties": {
        "number": {
            "type": "string",
            "minLength": 1,
            "maxLength": MOST,
            "pattern": NO_NUL,
            "description": "As typed, scanned or pasted: with blanks and dashes, a GS1 bar code "
            "with or without FNC1, a label's long form, or a link to a tracking page.",
        },
        "to_country": _COUNTRY,
        "from_country": _COUNTRY,
    },
    "required": ["number"],
    "additionalProperties": False,
}
COMPONENTS: Schema = {"Candidate": _CANDIDATE, "Recognition": _RECOGNITION}
PATHS: Schema = {
    "/api/milepost/v1/recognise": {
        "post": {
            "tags": ["Carriers"],
            "summary": "Whose number this is: every candidate, how likely, and why",
            "description": "Paid from the budget of reads; nothing is asked or kept. `best` is the "
            "candidate that is clearly ahead, which a registration without a carrier code takes.",
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _ASKED}},
            },
            "responses": {
                "200": {
                    "description": "The candidates, the likeliest first",
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Recognition"}}
                    },
                },
                **REFUSALS,
                "429": {"description": "Over the account's budget; empty, with Retry-After"},
            },
        }
    }
}
