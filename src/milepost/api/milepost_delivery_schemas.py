"""Connections' health and the delivery log in the OpenAPI document."""

from typing import Any

from milepost.api.milepost_deliveries import PREFIX
from milepost.api.milepost_parcel_schemas import reading
from milepost.api.milepost_schemas import REFUSALS
from milepost.api.parcel_filters import MOST_ON_A_PAGE, PAGE_SIZE
from milepost.api.v3_fields import MOMENT_PATTERN
from milepost.api.v3_schemas import MOMENT, TEXT, TEXT_OR_NULL, Schema, closed, listed, one_of_words
from milepost.notifications.forms import Form, Kind
from milepost.notifications.health import COUNTED, HOURS
from milepost.notifications.health import STATES as HEALTH_STATES
from milepost.notifications.log import MOST_ATTEMPTS, STATES
from milepost.notifications.replay import FINISHED, MOST

_WHOLE: Schema = {"type": "integer"}
_WHOLE_OR_NULL: Schema = {"type": ["integer", "null"]}
_MOMENT_OR_NULL: Schema = {"anyOf": [{"type": "null"}, MOMENT]}
_BOOLEAN: Schema = {"type": "boolean"}
_CURSOR: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{32}$"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_HEALTH = closed(
    {
        "connection_id": TEXT,
        "kind": one_of_words(Kind),
        "payload_form": one_of_words(Form),
        "name": TEXT,
        "url": TEXT_OR_NULL,
        "created_at": MOMENT,
        "state": one_of_words(HEALTH_STATES),
        "reason": TEXT,
        "failures_in_a_row": _WHOLE,
        **dict.fromkeys(("failing_since", "last_success_at", "last_failure_at"), _MOMENT_OR_NULL),
        **dict.fromkeys(("rests_until", "next_attempt_at"), _MOMENT_OR_NULL),
        "pending": closed(
            {
                "deliveries": _WHOLE,
                "is_cut": _BOOLEAN,
                "oldest_at": _MOMENT_OR_NULL,
                "oldest_age_seconds": _WHOLE_OR_NULL,
            }
        ),
        "recent": closed(
            {
                "hours": _WHOLE,
                "attempts": _WHOLE,
                "delivered": _WHOLE,
                "success_rate": {"type": ["number", "null"]},
                "is_cut": _BOOLEAN,
            }
        ),
    }
)
_HEALTH["description"] = (
    f"At most {COUNTED} pending deliveries and attempts of the last {HOURS} hours are counted."
)
_LAST_TRY = closed({"started_at": MOMENT, "outcome": TEXT, "status": _WHOLE_OR_NULL, "error": TEXT})
_LOGGED: Schema = {
    "delivery_id": TEXT,
    "connection_id": TEXT,
    "parcel_id": TEXT_OR_NULL,
    "event_id": TEXT,
    "sequence": _WHOLE,
    "action": TEXT,
    "payload_form": one_of_words(Form),
    "state": one_of_words(STATES),
    "attempts": _WHOLE,
    "created_at": MOMENT,
    **dict.fromkeys(("finished_at", "replayed_at", "next_attempt_at"), _MOMENT_OR_NULL),
    "last_try": {"anyOf": [{"type": "null"}, _LAST_TRY]},
}
_TRY = closed(
    {
        "attempt": _WHOLE,
        "started_at": MOMENT,
        "milliseconds": _WHOLE,
        "outcome": TEXT,
        "status": _WHOLE_OR_NULL,
        "error": TEXT,
        "request_headers": {"type": "object", "additionalProperties": TEXT},
        "answer": TEXT,
    }
)
COMPONENTS: Schema = {
    "ConnectionHealth": _HEALTH,
    "Delivery": closed(_LOGGED),
    "LoggedDelivery": closed({**_LOGGED, "request_body": TEXT, "tries": listed(_TRY)}),
}
_NOT_FOUND: Schema = {"404": {**REFUSALS["422"], "description": "No such thing in this account"}}


def _id(name: str) -> Schema:
    schema = {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_CONNECTION = _id("connection_id")
_DELIVERY = _id("delivery_id")
_PAGES = (
    _query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MOST_ON_A_PAGE, "default": PAGE_SIZE},
        "How many on a page.",
    ),
    _query("cursor", _CURSOR, "`next_cursor` of the page before."),
)


def _page_of(name: str) -> Schema:
    return closed({"data": listed(_ref(name)), "next_cursor": TEXT_OR_NULL})


def _doing(
    summary: str, answer: Schema, parameter: Schema, description: str, **more: Any
) -> Schema:
    return {
        "post": {
            "tags": ["Deliveries"],
            "summary": summary,
            "description": description,
            "parameters": [parameter],
            **more,
            "responses": {
                "200": {
                    "description": "Done",
                    "content": {"application/json": {"schema": answer}},
                },
                **REFUSALS,
                **_NOT_FOUND,
                "429": {"description": "Over the account's budget; empty, with Retry-After"},
            },
        }
    }


_REPLAY: Schema = {
    "type": "object",
    "properties": {
        "since": {"type": "string", "pattern": MOMENT_PATTERN},
        "state": one_of_words(FINISHED),
        "cursor": {"anyOf": [{"type": "null"}, _CURSOR]},
    },
    "required": ["since"],
    "additionalProperties": False,
}
_HEALTH_REF = _ref("ConnectionHealth")
PATHS: Schema = {
    f"{PREFIX}/connections": reading(
        "Connections of every kind and how each does",
        _page_of("ConnectionHealth"),
        *_PAGES,
        tag="Deliveries",
    ),
    f"{PREFIX}/connections/{{connection_id}}/health": reading(
        "How a connection does", _HEALTH_REF, _CONNECTION, refusals=_NOT_FOUND, tag="Deliveries"
    ),
    f"{PREFIX}/connections/{{connection_id}}/deliveries": reading(
        "What was told to a connection, the newest first",
        _page_of("Delivery"),
        _CONNECTION,
        _query("state", one_of_words(STATES), "Only in this state."),
        _query(
            "parcel_id", {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"}, "Only of this parcel."
        ),
        _query("since", {"type": "string", "pattern": MOMENT_PATTERN}, "Made then or later."),
        *_PAGES,
        refusals=_NOT_FOUND,
        tag="Deliveries",
    ),
    f"{PREFIX}/deliveries/{{delivery_id}}": reading(
        f"A delivery with its body and its last {MOST_ATTEMPTS} attempts, the last first",
        _ref("LoggedDelivery"),
        _DELIVERY,
        refusals=_NOT_FOUND,
        tag="Deliveries",
    ),
    f"{PREFIX}/deliveries/{{delivery_id}}/replay": _doing(
        "Send a delivery again",
        _ref("Delivery"),
        _DELIVERY,
        "The same body under the same event id. One that waits for its next attempt need not wait. "
        "Later ones of its parcel that are pending go behind it.",
    ),
    f"{PREFIX}/connections/{{connection_id}}/replay": _doing(
        "Send everything again since a time",
        closed({"replayed": _WHOLE, "next_cursor": TEXT_OR_NULL}),
        _CONNECTION,
        "Every delivery to the connection that was made since then and is over, the oldest first, "
        f"at most {MOST}: `next_cursor` goes on. `state` takes those alone. Only what was a "
        "delivery before is sent; everything that was recorded is in the event feed.",
        requestBody={"required": True, "content": {"application/json": {"schema": _REPLAY}}},
    ),
    f"{PREFIX}/connections/{{connection_id}}/pause": _doing(
        "Send nothing to a connection until it is resumed",
        _HEALTH_REF,
        _CONNECTION,
        "What is told meanwhile is kept for it, in order. No attempt is used up.",
    ),
    f"{PREFIX}/connections/{{connection_id}}/resume": _doing(
        "Deliver to a connection again, whatever stopped it",
        _HEALTH_REF,
        _CONNECTION,
        "Everything undelivered goes out, the oldest first; of a connection that was disabled also "
        "what failed for good since it has been failing.",
    ),
}
