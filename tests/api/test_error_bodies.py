"""Error bodies, to the letter of the published forms."""

import json
import re
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from milepost.accounts.credentials import NOT_PROVIDED
from milepost.api import problems
from milepost.api.error_bodies import Family, Rendered, family_of, render
from milepost.api.problems import FieldProblem, invalid, status_problem
from milepost.errors import (
    Conflict,
    DatabaseUnavailable,
    InvalidInput,
    MilepostError,
    NotAllowed,
    NotAuthenticated,
    NotFoundError,
    TooManyRequests,
)

V3 = "/api/v3/parcels/tracking/ABC"
V2 = "/api/v2/tracking/ABC"


def header(answer: Rendered, name: bytes) -> bytes | None:
    return dict(answer.headers).get(name)


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/api/v3/parcels/tracking", Family.V3_TRACKING),
        ("/api/v3/parcels/tracking/", Family.V3_TRACKING),
        ("/api/v3/parcels/tracking/A/B", Family.V3_TRACKING),
        ("/api/v3/parcels/trackings", Family.V3),
        ("/api/v3/parcels/statuses", Family.V3),
        ("/api/v2/tracking/1", Family.V2_TRACKING),
        ("/api/v2/parcels/statuses", Family.V2),
        ("/oauth2/token", Family.OAUTH),
        ("/oauth2/token/", Family.OAUTH),
        ("/api/milepost/v1/parcels", Family.MILEPOST),
        ("/", Family.MILEPOST),
    ],
)
def test_each_path_has_its_family(path: str, family: Family) -> None:
    assert family_of(path) is family


def test_v3_tracking_says_the_published_words() -> None:
    missing = render(Family.V3_TRACKING, NotFoundError(), V3)
    assert (missing.status, json.loads(missing.body)) == (404, {"detail": "Parcel does not exist"})
    twice = render(Family.V3_TRACKING, Conflict(), V3)
    assert twice.status == 409
    assert json.loads(twice.body) == {"detail": "Parcel or tracking number already exists"}


def test_v3_tracking_lists_every_wrong_field() -> None:
    problem = invalid(
        FieldProblem(("body", "to_address", "postal_code"), "Field required", "missing"),
        FieldProblem(("body", "parcel_items", 0, "weight"), "Not a number"),
    )
    answer = render(Family.V3_TRACKING, problem, V3)
    assert answer.status == 422
    assert json.loads(answer.body)["detail"] == [
        {"loc": ["body", "to_address", "postal_code"], "msg": "Field required", "type": "missing"},
        {
            "loc": ["body", "parcel_items", 0, "weight"],
            "msg": "Not a number",
            "type": "value_error",
        },
    ]


def test_one_wrong_field_of_the_body_is_named_with_its_place() -> None:
    answer = render(Family.V3_TRACKING, InvalidInput("Bad", ("source_id",), "missing"), V3)
    assert json.loads(answer.body)["detail"][0]["loc"] == ["body", "source_id"]
    answer = render(Family.V3_TRACKING, InvalidInput("Bad", ("path", "tracking_number")), V3)
    assert json.loads(answer.body)["detail"][0]["loc"] == ["path", "tracking_number"]


@pytest.mark.parametrize("family", [Family.V3_TRACKING, Family.V3])
def test_v3_refuses_the_unknown_caller_in_errors_form(family: Family) -> None:
    wrong = render(family, NotAuthenticated(), V3)
    assert wrong.status == 401
    assert header(wrong, b"www-authenticate") == b'Basic realm="api"'
    assert json.loads(wrong.body) == {
        "errors": [
            {
                "status": "401",
                "code": "authentication_failed",
                "detail": "Invalid username/password.",
            }
        ]
    }
    none = render(family, NotAuthenticated(NOT_PROVIDED), V3)
    detail = "Authentication credentials were not provided."
    assert json.loads(none.body)["errors"][0]["detail"] == detail
    allowed = render(family, NotAllowed("The account is suspended."), V3)
    assert json.loads(allowed.body)["errors"][0]["code"] == "forbidden"


@pytest.mark.parametrize("family", [Family.V2, Family.V2_TRACKING])
def test_v2_names_the_request(family: Family) -> None:
    answer = render(family, NotAuthenticated(), V2)
    assert json.loads(answer.body) == {
        "error": {
            "code": 401,
            "request": "api/v2/tracking/ABC",
            "message": "Invalid username/password.",
        }
    }


@pytest.mark.parametrize("accept", [b"", b"*/*", b"application/json, application/xml"])
def test_v2_tracking_404_is_the_s3_form(accept: bytes) -> None:
    path = "/api/v2/tracking/A<&\x00/B"
    answer = render(Family.V2_TRACKING, NotFoundError(), path, accept=accept, account_id=7)
    assert header(answer, b"content-type") == b"application/xml"
    root = ElementTree.fromstring(answer.body)
    assert [child.tag for child in root] == ["Code", "Message", "Key", "RequestId", "HostId"]
    assert root.findtext("Code") == "NoSuchKey"
    assert root.findtext("Message") == "The specified key does not exist."
    assert root.findtext("Key") == "v2/7/A<&/B.json"


def test_v2_tracking_404_is_json_for_who_takes_only_json() -> None:
    answer = render(Family.V2_TRACKING, NotFoundError(), V2, accept=b"application/json")
    assert header(answer, b"content-type") == b"application/json"
    assert json.loads(answer.body)["error"]["code"] == 404


@pytest.mark.parametrize("family", list(Family))
def test_429_is_empty_everywhere(family: Family) -> None:
    answer = render(family, TooManyRequests(7), V3)
    assert (answer.status, answer.body) == (429, b"")
    assert header(answer, b"retry-after") == b"7"
    assert header(answer, b"content-type") is None
    assert header(answer, b"content-length") == b"0"
    told = render(family, TooManyRequests(7, limit=100), V3)
    assert header(told, b"ratelimit-limit") == b"100"
    assert header(told, b"ratelimit-remaining") == b"0"


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize(
    "error", [DatabaseUnavailable("host db1 refused"), MilepostError("secret cause"), 500]
)
def test_causes_stay_inside(family: Family, error: MilepostError | int) -> None:
    answer = render(family, error, V3)
    assert answer.status in (500, 503)
    assert b"secret" not in answer.body
    assert b"db1" not in answer.body
    json.loads(answer.body)
    assert (header(answer, b"retry-after") is not None) == (answer.status == 503)


@pytest.mark.parametrize("status", [405, 408, 413, 414, 415, 431])
def test_v3_tracking_says_the_rest_in_detail(status: int) -> None:
    answer = render(Family.V3_TRACKING, status_problem(status), V3)
    assert list(json.loads(answer.body)) == ["detail"]
    assert list(json.loads(render(Family.V3, status, V3).body)) == ["errors"]


def test_v3_codes_stay_in_the_published_enum() -> None:
    published = {
        "unknown_field",
        "invalid",
        "forbidden",
        "invalid_choice",
        "min_value",
        "null",
        "not_found",
        "required",
        "not_a_list",
        "non_field_errors",
        "authentication_failed",
        "validation_error",
        "parcel_announcement_error",
    }
    for status in (400, 401, 403, 404, 405, 409, 413, 415, 422, 500, 503):
        [error] = json.loads(render(Family.V3, status, V3).body)["errors"]
        assert error["code"] in published
        assert error["status"] == str(status)
    fields = invalid(
        FieldProblem(("body", "a", 0), "m", "missing"), FieldProblem(("query", "q"), "m")
    )
    first, second = json.loads(render(Family.V3, fields, V3).body)["errors"]
    assert first["code"] == "required"
    assert first["source"] == {"pointer": "/a/0"}
    assert second["source"] == {"parameter": "q"}


def test_event_subscriptions_say_400_and_where_below_data() -> None:
    path = "/api/v3/event-subscriptions/connections"
    assert family_of(path) is Family.EVENT_SUBSCRIPTIONS
    wrong = invalid(
        FieldProblem(("body", "configuration", "a/b"), "m", "unknown_field"),
        FieldProblem(("body", 17), "m", "json_invalid"),
        FieldProblem(("query", "q"), "m", "invalid_choice"),
    )
    answer = render(Family.EVENT_SUBSCRIPTIONS, wrong, path)
    errors = json.loads(answer.body)["errors"]
    assert answer.status == 400
    assert {one["status"] for one in errors} == {"400"}
    assert [(one["source"], one["code"]) for one in errors] == [
        ({"pointer": "/data/configuration/a~1b"}, "unknown_field"),
        ({"pointer": "/data"}, "invalid"),
        ({"parameter": "q"}, "invalid_choice"),
    ]
    key = invalid(FieldProblem(("header", "Idempotency-Key"), "m", "idempotency_key_reuse"))
    assert render(Family.EVENT_SUBSCRIPTIONS, key, path).status == 422, "as everywhere"


def test_oauth_errors_follow_the_rfc_and_are_never_stored() -> None:
    answer = render(Family.OAUTH, NotAuthenticated("x"), "/oauth2/token")
    body = json.loads(answer.body)
    assert body["error"] == "invalid_client"
    assert set(body) >= {"error", "error_description", "error_hint", "error_debug", "status_code"}
    assert header(answer, b"cache-control") == b"no-store"
    assert json.loads(render(Family.OAUTH, 503, "/oauth2/token").body)["error"] == (
        "temporarily_unavailable"
    )


def test_ours_are_problem_details() -> None:
    answer = render(Family.MILEPOST, InvalidInput("Too long", ("name",)), "/api/milepost/v1/x")
    assert header(answer, b"content-type") == b"application/problem+json"
    body = json.loads(answer.body)
    assert body["status"] == 422
    assert body["errors"][0]["loc"] == ["body", "name"]


CODES_OF_STATUSES = {
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "request_entity_too_large",
    414: "request_uri_too_long",
    415: "unsupported_media_type",
    431: "request_header_fields_too_large",
    500: "internal_server_error",
}


@pytest.mark.parametrize(("status", "code"), CODES_OF_STATUSES.items())
def test_codes_are_the_same_on_every_python(
    status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}

    def of_python_3_13(number: int) -> SimpleNamespace:
        return SimpleNamespace(phrase=renamed.get(number, HTTPStatus(number).phrase))

    before = render(Family.MILEPOST, status, "/api/milepost/v1/x").body
    monkeypatch.setattr(problems, "HTTPStatus", of_python_3_13)
    assert render(Family.MILEPOST, status, "/api/milepost/v1/x").body == before
    assert json.loads(before)["code"] == code


def test_codes_of_our_own_api_are_documented() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "compatibility.md").read_text().partition("### Codes of ours")[2]
    named = re.compile(r'(?<!Field)Problem\(\s*\d+,\s*"(\w+)"')
    doors = (root / "src" / "milepost" / "api").glob("*.py")
    codes = {code for door in doors for code in named.findall(door.read_text())}
    codes |= {error.code for error in MilepostError.__subclasses__() if error.http_status < 500}
    codes |= {DatabaseUnavailable.code, *CODES_OF_STATUSES.values()}
    # Nobody sees these: v2's, 429's empty answer, and a stand-in for what always says more.
    codes -= {"invalid_cursor", "throttled", "invalid", "unauthorized"}
    assert {"too_many_readers", "cursor_forgotten", "conflict"} < codes
    assert codes <= set(re.findall(r"`(\w+)`", page))


@pytest.mark.parametrize("family", list(Family))
def test_a_lone_surrogate_in_the_path_does_not_break_the_answer(family: Family) -> None:
    for error in (404, 401, 422, invalid(FieldProblem(("body", "\ud800"), "\udfff"))):
        assert render(family, error, "/api/v2/tracking/\ud800").status in (400, 401, 404, 422)


def test_a_fault_of_ours_names_the_request_and_other_answers_never_do() -> None:
    fault = render(Family.MILEPOST, 500, "/api/milepost/v1/x", request_id="abc-1")
    assert json.loads(fault.body)["request_id"] == "abc-1"
    for family in Family:
        assert b"abc-1" not in render(family, 404, "/x", request_id="abc-1").body
        if family is not Family.MILEPOST:
            assert b"abc-1" not in render(family, 503, "/x", request_id="abc-1").body
