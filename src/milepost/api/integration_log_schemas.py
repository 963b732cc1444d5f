"""The exception logs of integrations in our OpenAPI document."""

from milepost.api.integration_logs import DEFAULT_SIZE, LARGEST_SIZE
from milepost.api.published_refusals import ERRORS, V2_ERROR, everywhere, json_answer, refused
from milepost.api.v2_integrations import PATH as V2
from milepost.api.v3_integrations import PATH as V3
from milepost.api.v3_schemas import TEXT, TEXT_OR_NULL, Schema, closed, listed
from milepost.notifications.verdict import Verdict

_MOMENT: Schema = {"type": "string", "format": "date-time"}
_SENT: Schema = {"anyOf": [{"type": "object"}, TEXT, {"type": "null"}]}
_LOG: Schema = {
    "id": {"type": "integer", "minimum": 1},
    "integration_id": {"type": "integer", "minimum": 1},
    "base_url": {"type": "string", "minLength": 1},
    "full_url": TEXT_OR_NULL,
    "method": {"const": "POST"},
    "response_code": {"type": ["integer", "null"]},
    "response": {"anyOf": [{"type": "null"}, closed({"headers": {"type": "null"}, "body": TEXT})]},
    "request": closed({"headers": {"type": "object"}, "payload": _SENT}),
    "created_at": _MOMENT,
    "exception_type": {
        "type": "string",
        "enum": [one for one in Verdict if one is not Verdict.DELIVERED],
    },
    "exception": TEXT,
    "protected": {"type": "boolean"},
}
V2_LOG = closed(_LOG)
V3_LOG = closed(
    _LOG | {"additional_data": closed({"delivery_id": TEXT, "attempt": {"type": "integer"}})}
)
_V2_PAGE = closed({"next": TEXT_OR_NULL, "previous": {"type": "null"}, "results": listed(V2_LOG)})
_CURSOR: Schema = {
    "name": "cursor",
    "in": "query",
    "description": "What failed before that moment; the next page's is in the answer",
    "schema": {"anyOf": [_MOMENT, {"const": ""}]},
}
_SIZE: Schema = {
    "name": "page_size",
    "in": "query",
    "schema": {
        "anyOf": [{"type": "integer", "minimum": 1, "maximum": LARGEST_SIZE}, {"const": ""}],
        "default": DEFAULT_SIZE,
    },
}
_WHICH: Schema = {
    "name": "integration_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
}
_LINK: Schema = {
    "Link": {"description": 'The next page: `<...>; rel="next"`', "schema": {"type": "string"}}
}


def _listing(version: str, answer: Schema, errors: Schema, parameters: list[Schema]) -> Schema:
    refusals = {**refused(errors, 408, 422), **everywhere(errors, errors)}
    if _WHICH in parameters:
        refusals |= {"404": json_answer(errors, "No such integration")}
    return {
        "get": {
            "tags": [f"Integrations ({version})"],
            "summary": "Webhooks that did not arrive, the last first",
            "parameters": parameters,
            "responses": {"200": answer, **refusals},
        }
    }


_V2_ANSWER = json_answer(_V2_PAGE)
_V3_ANSWER = json_answer(closed({"data": listed(V3_LOG)})) | {"headers": _LINK}
PATHS: Schema = {
    f"{V2}/logs": _listing("v2", _V2_ANSWER, V2_ERROR, [_CURSOR]),
    f"{V2}/{{integration_id}}/logs": _listing("v2", _V2_ANSWER, V2_ERROR, [_WHICH, _CURSOR]),
    f"{V3}/logs": _listing("v3", _V3_ANSWER, ERRORS, [_CURSOR, _SIZE]),
    f"{V3}/{{integration_id}}/logs": _listing("v3", _V3_ANSWER, ERRORS, [_WHICH, _CURSOR, _SIZE]),
}
