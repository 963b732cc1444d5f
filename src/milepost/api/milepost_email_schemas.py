"""Letters to recipients in the OpenAPI document, and the page behind their last link."""

from milepost.api.milepost_emails import PATH
from milepost.api.milepost_parcel_schemas import reading
from milepost.api.milepost_schemas import REFUSALS
from milepost.api.unsubscribe import PATH as UNSUBSCRIBE
from milepost.api.v3_schemas import MOMENT, TEXT, TEXT_OR_NULL, Schema, closed, listed, one_of_words
from milepost.notifications.emails import LONGEST_NAME, PHASES
from milepost.notifications.mail_address import LONGEST

_PHASES = listed(one_of_words(PHASES))
_EMAILS = closed(
    {
        "is_active": {"type": "boolean"},
        "is_available": {"type": "boolean"},
        "connection_id": {"type": ["integer", "null"]},
        "phases": _PHASES,
        "sender_name": TEXT,
        "reply_to": TEXT,
        "state": TEXT_OR_NULL,
        "reason": TEXT,
        "updated_at": {"anyOf": [{"type": "null"}, MOMENT]},
    }
)
_CHOICE = closed(
    {"phases": {**_PHASES, "minItems": 1}},
    {
        "sender_name": {
            "type": "string",
            "maxLength": LONGEST_NAME,
            "pattern": r"^[^\u0000@\ufe6b\uff20]*$",
            "description": "In whose name, without an @; the account's where empty. Controls are "
            "left out.",
        },
        "reply_to": {
            "anyOf": [
                {"type": "string", "format": "email", "maxLength": LONGEST},
                {"type": "string", "const": ""},
            ],
            "description": "Where answers go: an address in ASCII before its @, with a domain.",
        },
    },
)
_ADDRESS = closed(
    {"address": {"type": "string", "format": "email", "maxLength": LONGEST, "minLength": 3}}
)
_LIFTED = closed({"lifted": {"type": "boolean"}})
_OVER: Schema = {"429": {"description": "Over the account's budget; empty, with Retry-After"}}
_PAGE: Schema = {"text/html": {"schema": TEXT}}
_PROBLEM: Schema = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
}
_NO_LINK: Schema = {"404": {"description": "No link of ours", "content": {**_PAGE, **_PROBLEM}}}
_TOKEN: Schema = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "As the letter's link has it.",
    "schema": {"type": "string", "pattern": "^mpu_[0-9a-z]{1,13}_[0-9a-f]{96}$"},
}


def _done(description: str, schema: Schema | None = None) -> Schema:
    content = {"content": {"application/json": {"schema": schema}}} if schema else {}
    return {"description": description, **content}


def _operation(summary: str, answers: Schema, **more: object) -> Schema:
    refusals = {**REFUSALS, **_OVER}
    return {"tags": ["E-mail"], "summary": summary, **more, "responses": {**answers, **refusals}}


PATHS: Schema = {
    PATH: {
        **reading("Whether recipients are written to, and about what", _EMAILS, tag="E-mail"),
        "put": _operation(
            "Write to recipients about these phases; 409 where there is no mail server",
            {"200": _done("OK", _EMAILS)},
            requestBody={"required": True, "content": {"application/json": {"schema": _CHOICE}}},
        ),
        "delete": _operation(
            "Write to nobody any more; letters on their way are given up",
            {"204": _done("Done, or there was nothing to end")},
        ),
    },
    f"{PATH}/unsubscriptions/lift": {
        "post": _operation(
            "Write to a recipient again who had unsubscribed and has asked for it",
            {"200": _done("OK; lifted: it was unsubscribed", _LIFTED)},
            requestBody={"required": True, "content": {"application/json": {"schema": _ADDRESS}}},
        ),
    },
    UNSUBSCRIBE: {
        "head": {
            "tags": ["E-mail"],
            "summary": "As GET, without the page",
            "security": [],
            "parameters": [_TOKEN],
            "responses": {
                "200": {"description": "A link of ours"},
                "404": {"description": "No link of ours"},
            },
        },
        "get": {
            "tags": ["E-mail"],
            "summary": "Asks a recipient whether to end the letters of a shop; changes nothing",
            "security": [],
            "parameters": [_TOKEN],
            "responses": {"200": {"description": "A page", "content": _PAGE}, **_NO_LINK},
        },
        "post": {
            "tags": ["E-mail"],
            "summary": "Ends them (RFC 8058); a repeat changes nothing. The body is not read",
            "security": [],
            "parameters": [_TOKEN],
            "responses": {"200": {"description": "A page", "content": _PAGE}, **_NO_LINK},
        },
    },
}
