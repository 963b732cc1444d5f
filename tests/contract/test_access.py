"""Access as the published documents describe it: credentials, tokens, limits, status lists."""

from urllib.parse import urlencode

import pytest
from tests.live_server import Client, Server

V3, V2 = "/api/v3/parcels/tracking/NOSUCHPARCEL", "/api/v2/tracking/NOSUCHPARCEL"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_without_credentials_each_family_says_so(server: Server) -> None:
    nobody = Client(server.port)
    v3, v2 = nobody.get(V3), nobody.get(V2)
    assert (v3.status, v2.status) == (401, 401)
    assert v3.document == {
        "errors": [
            {
                "status": "401",
                "code": "authentication_failed",
                "detail": "Authentication credentials were not provided.",
            }
        ]
    }
    assert v2.document["error"]["code"] == 401
    assert all(got.headers["www-authenticate"] == 'Basic realm="api"' for got in (v3, v2))


def test_wrong_credentials_are_said_in_the_recorded_words(client: Client) -> None:
    wrong = Client(client.port, client.user + "x")
    assert wrong.get(V3).document["errors"][0]["detail"] == "Invalid username/password."
    assert wrong.get(V2).document["error"]["message"] == "Invalid username/password."


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/token/"])
@pytest.mark.parametrize("scope", [{}, {"scope": "api"}])
def test_a_token_is_had_and_used_as_published(
    client: Client, path: str, scope: dict[str, str]
) -> None:
    form = urlencode({"grant_type": "client_credentials", **scope}).encode()
    got = client.ask("POST", path, form, FORM)
    assert got.status == 200, got.body
    token = got.document
    assert (token["token_type"].lower(), token["expires_in"], token["scope"]) == (
        "bearer",
        3600,
        "api",
    )
    # A strict client takes a null for a string.
    assert None not in token.values()
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert Client(client.port).get(V3, bearer).status == 404


def test_a_wrong_grant_is_answered_with_every_published_field(client: Client) -> None:
    got = client.ask("POST", "/oauth2/token", b"grant_type=password", FORM)
    assert got.status == 400
    assert got.document.keys() == {
        "error",
        "error_description",
        "error_hint",
        "error_debug",
        "status_code",
    }
    assert got.document["error"] == "unsupported_grant_type"


def test_over_the_limit_the_body_is_empty_and_the_wait_a_number(server: Server) -> None:
    few = server.account("few", reads=1)
    assert few.get(V2).status == 404
    for path in (V2, V3):
        refused = few.get(path)
        assert (refused.status, refused.body) == (429, b"")
        # A window of 60 s, told in whole seconds after which the next call does pass.
        assert 1 <= int(refused.headers["retry-after"]) <= 62
        assert any(name.startswith("ratelimit") for name in refused.headers)


def test_the_status_lists_have_the_published_form(client: Client) -> None:
    v2 = client.get("/api/v2/parcels/statuses")
    assert v2.status == 200
    assert all(
        status.keys() == {"id", "message"} and isinstance(status["id"], int)
        for status in v2.document
    )
    v3, alias = (
        client.get(path) for path in ("/api/v3/parcels/statuses", "/api/v3/parcel-statuses")
    )
    assert v3.body == alias.body
    assert 1 <= len(v3.document["data"]) <= 99
    assert all(status.keys() == {"code", "message"} for status in v3.document["data"])
