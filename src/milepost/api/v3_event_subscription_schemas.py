"""The Event Subscriptions API in our OpenAPI document: what it takes, and strict out."""

from typing import Any

from pydantic import BaseModel

from milepost.api.published_refusals import ERRORS, MEANINGS, everywhere, json_answer, refused
from milepost.api.v3_event_connections import PREFIX
from milepost.api.v3_event_subscription_models import (
    LARGEST_ID,
    ConnectionChange,
    ConnectionGiven,
    SubscriptionChange,
    SubscriptionGiven,
)
from milepost.api.v3_fields import NO_NUL
from milepost.api.v3_schemas import MOMENT, TEXT, Schema, closed, listed, one_of_words
from milepost.notifications.configuration import LOGINS
from milepost.notifications.connections import KINDS
from milepost.notifications.forms import Form
from milepost.notifications.masking import HIDDEN
from milepost.notifications.trial import EVERY_SECONDS
from milepost.notifications.webhooks import KEPT_OF_ANSWER
from milepost.tracking.vocabulary import ExceptionCode, Phase
from milepost.wire.v3_event import CREATED

_ID: Schema = {"type": "integer", "format": "int64", "minimum": 1, "maximum": LARGEST_ID}
_FLAG: Schema = {"type": "boolean"}
_CONFIGURATION = closed(
    {
        "url": TEXT,
        "auth_type": one_of_words(LOGINS),
        "extra_headers": {
            "type": "object",
            "additionalProperties": {"const": HIDDEN},
            "description": "Their names: values may be secrets.",
        },
        "payload_form": one_of_words((Form.EVENT, Form.CLASSIC, Form.CLOUD_EVENT)),
    }
)
_CONNECTION = closed(
    {
        "id": _ID,
        "type": one_of_words(KINDS),
        "configuration": {"anyOf": [_CONFIGURATION, closed({})]},
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }
)
_SUBSCRIPTION = closed(
    {
        "id": _ID,
        "connection_id": _ID,
        "event_type": {"const": CREATED},
        "is_active": _FLAG,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "filters": closed(
            {
                "phases": listed(one_of_words(Phase)),
                "exceptions": listed(one_of_words(ExceptionCode)),
                "carriers": listed(TEXT),
                "status_changes": _FLAG,
            }
        ),
    }
)
_RESULT = closed(
    {
        "success": _FLAG,
        "status_code": {"type": "integer", "description": "0: no answer came."},
        "response_body": {
            "type": "string",
            "maxLength": KEPT_OF_ANSWER,
            "description": "The beginning of the answer, or why there is none.",
        },
    }
)
_GIVEN: tuple[type[BaseModel], ...] = (
    ConnectionGiven,
    ConnectionChange,
    SubscriptionGiven,
    SubscriptionChange,
)


def _taken() -> Schema:
    found: Schema = {}
    for model in _GIVEN:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    return found


COMPONENTS: Schema = {
    **_taken(),
    "EventConnection": _CONNECTION,
    "EventSubscription": _SUBSCRIPTION,
}
_CONNECTION_EXAMPLE: Schema = {
    "type": "webhook",
    "configuration": {
        "url": "https://shop.example/parcel-events",
        "auth_type": "bearer",
        "auth_config": {"token": "a-token-of-the-shop"},
        "extra_headers": {"X-Shop": "1001"},
    },
}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _data(schema: Schema) -> Schema:
    return json_answer(closed({"data": schema}))


def _operation(
    operation_id: str,
    summary: str,
    answers: Schema,
    *,
    takes: type[BaseModel] | None = None,
    example: Any = None,
    parameters: tuple[Schema, ...] = (),
    missing: bool = False,
) -> Schema:
    """``missing``: what it is about may not be there."""
    made: Schema = {
        "tags": ["Event Subscriptions"],
        "operationId": operation_id,
        "summary": summary,
        "parameters": list(parameters),
        "responses": {
            **everywhere(ERRORS, ERRORS),
            **refused(ERRORS, 408, 413, 415, 422),
            **answers,
        },
    }
    if missing:
        made["responses"]["404"] = json_answer(ERRORS, "The account has no such thing")
    if takes is not None:
        content: Schema = {"schema": _ref(takes.__name__)}
        if example is not None:
            content["example"] = example
        made["requestBody"] = {"required": True, "content": {"application/json": content}}
    return made


def _path(name: str) -> Schema:
    return {"parameters": [{"name": name, "in": "path", "required": True, "schema": _ID}]}


def _made(schema: Schema, what: str, *next_calls: str) -> Schema:
    """201, and what a client does with the id; tools that follow links test calls in this order."""
    given = {f"{what}_id": "$response.body#/data/id"}
    links = {call: {"operationId": call, "parameters": given} for call in next_calls}
    return {"201": {**_data(schema), "links": links}}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_ONE_CONNECTION, _ONE_SUBSCRIPTION = _ref("EventConnection"), _ref("EventSubscription")
_GONE: Schema = {"204": {"description": "It is gone"}}

PATHS: Schema = {
    f"{PREFIX}/connections": {
        "post": _operation(
            "create_connection",
            "Create a connection",
            _made(
                _ONE_CONNECTION,
                "connection",
                "get_connection",
                "update_connection",
                "start_authorization",
                "delete_connection",
            ),
            takes=ConnectionGiven,
            example=_CONNECTION_EXAMPLE,
        ),
        "get": _operation(
            "list_connections",
            "List connections",
            {"200": _data(listed(_ONE_CONNECTION))},
            parameters=(_query("connection_type", one_of_words(KINDS), "Of this type."),),
        ),
    },
    f"{PREFIX}/connections/{{connection_id}}": {
        **_path("connection_id"),
        "get": _operation(
            "get_connection", "Get a connection", {"200": _data(_ONE_CONNECTION)}, missing=True
        ),
        "patch": _operation(
            "update_connection",
            "Lay what is given over a connection's configuration",
            {"200": _data(_ONE_CONNECTION)},
            takes=ConnectionChange,
            missing=True,
        ),
        "delete": _operation(
            "delete_connection",
            "Delete a connection, its subscriptions and what waits for it",
            _GONE,
            missing=True,
        ),
    },
    f"{PREFIX}/connections/{{connection_id}}/authorization": {
        **_path("connection_id"),
        "post": _operation(
            "start_authorization",
            "Authorize a klaviyo connection: 400, as no Klaviyo application is configured",
            {},
            missing=True,
        ),
    },
    f"{PREFIX}/subscriptions": {
        "post": _operation(
            "create_subscription",
            "Create a subscription",
            _made(
                _ONE_SUBSCRIPTION,
                "subscription",
                "get_subscription",
                "update_subscription",
                "delete_subscription",
            ),
            takes=SubscriptionGiven,
        ),
        "get": _operation(
            "list_subscriptions",
            "List subscriptions",
            {"200": _data(listed(_ONE_SUBSCRIPTION))},
            parameters=(
                _query("event_type", {"type": "string", "pattern": NO_NUL}, "Of this type."),
                _query("is_active", _FLAG, "Active ones, or the others."),
            ),
        ),
    },
    f"{PREFIX}/subscriptions/{{subscription_id}}": {
        **_path("subscription_id"),
        "get": _operation(
            "get_subscription",
            "Get a subscription",
            {"200": _data(_ONE_SUBSCRIPTION)},
            missing=True,
        ),
        "patch": _operation(
            "update_subscription",
            "Update a subscription",
            {"200": _data(_ONE_SUBSCRIPTION)},
            takes=SubscriptionChange,
            missing=True,
        ),
        "delete": _operation("delete_subscription", "Delete a subscription", _GONE, missing=True),
    },
    f"{PREFIX}/broadcast/test/{{subscription_id}}": {
        **_path("subscription_id"),
        "post": _operation(
            "broadcast_test",
            "Send an example to a subscription's connection",
            {
                "200": _data(_RESULT),
                "429": {
                    "description": f"{MEANINGS[429]}; or another test within {EVERY_SECONDS} s"
                },
            },
            missing=True,
        ),
    },
}
