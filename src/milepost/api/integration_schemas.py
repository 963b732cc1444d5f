"""Integrations and keys to sign with in our OpenAPI document: liberal in, strict out."""

from collections.abc import Iterable

from milepost.api.integration_models import KeyGiven, NewShop, OwnChange, ShopChange
from milepost.api.milepost_integrations import PREFIX
from milepost.api.milepost_schemas import REFUSALS
from milepost.api.published_refusals import ERRORS, V2_ERROR, everywhere, json_answer, refused
from milepost.api.v2_integrations import ORDERINGS
from milepost.api.v2_integrations import PATH as V2
from milepost.api.v3_integrations import PATH as V3
from milepost.api.v3_integrations import SORTS
from milepost.api.v3_parts import Part
from milepost.api.v3_schemas import MOMENT, TEXT, TEXT_OR_NULL, Schema, closed, listed
from milepost.notifications.shop import FEEDBACK_TYPES

_ID: Schema = {"type": "integer", "minimum": 1}
_FLAG: Schema = {"type": "boolean"}
_MOMENT_OR_NULL: Schema = {**MOMENT, "type": ["string", "null"]}
_SETTINGS: Schema = {
    "shop_name": TEXT,
    "shop_url": TEXT_OR_NULL,
    "service_point_enabled": _FLAG,
    "service_point_carriers": listed(TEXT),
    "webhook_active": _FLAG,
    "webhook_url": TEXT_OR_NULL,
}
V2_INTEGRATION = closed(
    {
        "id": _ID,
        "system": TEXT,
        "failing_since": _MOMENT_OR_NULL,
        "last_fetch": _MOMENT_OR_NULL,
        "last_updated_at": MOMENT,
        **_SETTINGS,
    }
)
_V2_SETTINGS = closed({**_SETTINGS, "last_updated_at": MOMENT})
_V3: Schema = {
    "id": _ID,
    "type": TEXT,
    "started_failing_at": _MOMENT_OR_NULL,
    "last_fetched_at": _MOMENT_OR_NULL,
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "feedback_type": {"type": "string", "enum": list(FEEDBACK_TYPES)},
    **_SETTINGS,
}
V3_INTEGRATION = closed(_V3)
_OWN: Schema = {
    **_V3,
    "state": {"type": "string", "enum": ["open", "paused", "disabled"]},
    "state_reason": TEXT,
    "former_key_until": _MOMENT_OR_NULL,
}
OWN = closed(_OWN)
KEY = closed({"key": TEXT, "library_key": TEXT, "former_key_until": _MOMENT_OR_NULL})
_TRIED = closed({"success": _FLAG, "status_code": {"type": "integer"}, "response_body": TEXT})


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


COMPONENTS: Schema = {
    "V2Integration": V2_INTEGRATION,
    "V3Integration": V3_INTEGRATION,
    "Integration": OWN,
    "SigningKey": KEY,
}


def _given(model: type[Part], *, closed_to_others: bool = False) -> Schema:
    schema = model.model_json_schema()
    if closed_to_others:
        schema = {key: rule for key, rule in schema.items() if key != "propertyNames"}
        schema["additionalProperties"] = False
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _which(name: str = "integration_id") -> Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
    }


def _sorted_by(name: str, columns: Iterable[str]) -> Schema:
    words = [way + one for one in columns for way in ("", "-")]
    return {"name": name, "in": "query", "schema": {"type": "string", "enum": ["", *words]}}


_NONE_LEFT: Schema = {"204": {"description": "Done"}}
_MISSING_MEANING = "No such integration"


def _missing(schema: Schema) -> Schema:
    return {"404": json_answer(schema, _MISSING_MEANING)}


_V2_REFUSED: Schema = {**refused(V2_ERROR, 408, 413, 415, 422), **everywhere(V2_ERROR, V2_ERROR)}
_V3_REFUSED: Schema = {
    **refused(ERRORS, 408, 413, 415, 422),
    **everywhere(ERRORS, ERRORS),
}
_OWN_REFUSED: Schema = {
    **REFUSALS,
    "429": {"description": "Over the account's budget; empty, with Retry-After"},
}
_OWN_MISSING: Schema = {
    "404": {
        "description": _MISSING_MEANING,
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
}


def _operation(tag: str, summary: str, responses: Schema, **more: object) -> Schema:
    return {"tags": [tag], "summary": summary, **more, "responses": responses}


def _own(summary: str, answer: Schema, **more: object) -> Schema:
    responses = {"200": json_answer(answer), **_OWN_REFUSED, **_OWN_MISSING}
    return _operation("Integrations", summary, responses, **more)


def _published(version: str, refusals: Schema, missing: Schema) -> Schema:
    """One integration, read and deleted, as either version publishes it."""
    found = _ref("V2Integration")
    if version == "v3":
        found = closed({"data": _ref("V3Integration")})
    tag, which = f"Integrations ({version})", [_which()]
    return {
        "get": _operation(
            tag,
            "An integration",
            {"200": json_answer(found), **missing, **refusals},
            parameters=which,
        ),
        "delete": _operation(
            tag, "Delete an integration", {**_NONE_LEFT, **missing, **refusals}, parameters=which
        ),
    }


def _changed_v2(summary: str) -> Schema:
    return _operation(
        "Integrations (v2)",
        summary,
        {"200": json_answer(_V2_SETTINGS), **_missing(V2_ERROR), **_V2_REFUSED},
        parameters=[_which()],
        requestBody=_given(ShopChange),
    )


_ALL = closed({"data": listed(_ref("Integration"))})
_NEW = closed({**_OWN, "signing_key": _ref("SigningKey")})
_ACTIVE: Schema = {
    "name": "webhook_active",
    "in": "query",
    "schema": {"type": "string", "enum": ["true", "false"]},
}
_KEYED = "Sign with another key, made or brought; it is shown once"
_KEY_BODY: Schema = {**_given(KeyGiven, closed_to_others=True), "required": False}
PATHS: Schema = {
    V2: {
        "get": _operation(
            "Integrations (v2)",
            "List the integrations",
            {"200": json_answer(listed(_ref("V2Integration"))), **_V2_REFUSED},
            parameters=[_sorted_by("ordering", ORDERINGS)],
        )
    },
    f"{V2}/{{integration_id}}": {
        **_published("v2", _V2_REFUSED, _missing(V2_ERROR)),
        "put": _changed_v2("Change an integration, as PATCH does"),
        "patch": _changed_v2("Change an integration"),
    },
    V3: {
        "get": _operation(
            "Integrations (v3)",
            "List the integrations",
            {"200": json_answer(closed({"data": listed(_ref("V3Integration"))})), **_V3_REFUSED},
            parameters=[_sorted_by("sort", SORTS)],
        )
    },
    f"{V3}/{{integration_id}}": {
        **_published("v3", _V3_REFUSED, _missing(ERRORS)),
        "patch": _operation(
            "Integrations (v3)",
            "Change an integration",
            {**_NONE_LEFT, **_missing(ERRORS), **_V3_REFUSED},
            parameters=[_which()],
            requestBody=_given(ShopChange),
        ),
    },
    f"{PREFIX}/integrations": {
        "get": _own("List the integrations", _ALL, parameters=[_ACTIVE]),
        "post": _own(
            "Make an integration; its key to sign with is shown once",
            _NEW,
            requestBody=_given(NewShop, closed_to_others=True),
        ),
    },
    f"{PREFIX}/integrations/{{integration_id}}": {
        "get": _own("An integration", _ref("Integration"), parameters=[_which()]),
        "patch": _own(
            "Change an integration",
            _ref("Integration"),
            parameters=[_which()],
            requestBody=_given(OwnChange, closed_to_others=True),
        ),
        "delete": _operation(
            "Integrations",
            "Delete an integration",
            {**_NONE_LEFT, **_OWN_REFUSED, **_OWN_MISSING},
            parameters=[_which()],
        ),
    },
    f"{PREFIX}/integrations/{{integration_id}}/test": {
        "post": _own("Send a test to its webhook at once", _TRIED, parameters=[_which()])
    },
    f"{PREFIX}/integrations/{{integration_id}}/signing-key": {
        "post": _own(_KEYED, _ref("SigningKey"), parameters=[_which()], requestBody=_KEY_BODY)
    },
    f"{PREFIX}/connections/{{connection_id}}/signing-key": {
        "post": _own(
            _KEYED,
            _ref("SigningKey"),
            parameters=[_which("connection_id")],
            requestBody=_KEY_BODY,
        )
    },
}
