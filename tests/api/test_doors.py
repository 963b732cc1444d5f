"""What every request has to pass: credentials, methods, bodies, bounds, and what is open."""

import asyncio
import gzip
import io
from typing import Any

import orjson
import pytest
from tests.api.asgi import call
from tests.api.fake_api import (
    AUTHORIZATION,
    SPENT_OUT,
    SUSPENDED,
    Client,
    Parcels,
    application,
    started,
)
from tests.api.samples import POST, V2, registration

from milepost import observe
from milepost.errors import DatabaseUnavailable


async def test_a_body_of_a_get_is_not_minded(client: Client) -> None:
    got = await client.ask("GET", POST + "/X", b"{", {"content-type": "text/plain"})
    assert got.status == 404
    assert (await client.ask("GET", "/api/v3/parcels/statuses", b"{}")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", POST, "POST"),
        ("PUT", POST, "POST"),
        ("DELETE", POST + "/X", "GET"),
        ("POST", POST + "/X", "GET"),
        ("PATCH", V2 + "X", "GET"),
        ("TRACE", V2 + "X", "GET"),
        ("OPTIONS", POST, "POST"),
        ("POST", "/api/v2/parcels/statuses", "GET"),
    ],
)
async def test_other_methods(client: Client, method: str, path: str, allowed: str) -> None:
    got = await client.ask(method, path, b"x", {"content-type": "text/plain"})
    assert got.status == 405
    assert allowed in got.headers["allow"]
    family = "detail" if path.startswith("/api/v3") else "error"
    assert list(got.document) == [family]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v3/event-subscriptions/connections", "GET, POST"),
        ("POST", "/api/v3/event-subscriptions/connections/1", "GET, PATCH, DELETE"),
        ("POST", "/api/v2/integrations/1/", "GET, PUT, PATCH, DELETE"),
        ("GET", "/api/v3/event-subscriptions/broadcast/test/1", "POST"),
    ],
)
async def test_who_asks_otherwise_is_told_all_that_is_allowed(
    client: Client, method: str, path: str, allowed: str
) -> None:
    got = await client.ask(method, path)
    assert (got.status, got.headers["allow"]) == (405, allowed)


async def test_unknown_paths(client: Client) -> None:
    assert list((await client.get("/api/v3/nothing")).document) == ["errors"]
    assert list((await client.get("/api/v2/nothing")).document) == ["error"]
    nothing = await client.get("/nothing")
    assert (nothing.status, nothing.headers["content-type"]) == (404, "application/problem+json")
    assert (await client.get("/api/v3/%ff")).status == 404


async def test_every_api_path_wants_credentials_before_anything_else(app: Any) -> None:
    nobody = Client(app, None)
    for method, path in (
        ("GET", POST + "/X"),
        ("POST", POST),
        ("GET", V2 + "X"),
        ("DELETE", V2 + "X"),
        ("GET", "/api/v2/parcels/statuses"),
        ("GET", "/api/v3/parcel-statuses"),
        ("GET", "/api/v3/nothing"),
        ("GET", "/%61pi/v3/parcels/statuses"),
    ):
        got = await nobody.ask(method, path)
        assert got.status == 401, path
        assert got.headers["www-authenticate"] == 'Basic realm="api"'
    assert (await Client(app, SUSPENDED).get(POST + "/X")).status == 403


async def test_without_credentials_no_body_is_read(app: Any) -> None:
    endless = [b"x" * 1000] * 10_000
    got = await Client(app, None).ask("POST", POST, pieces=endless)
    assert got.status == 401


async def test_budgets_are_told(app: Any, client: Client) -> None:
    got = await client.get(POST + "/X")
    assert (got.status, got.headers["ratelimit-remaining"]) == (404, "999")
    over = await Client(app, SPENT_OUT).get(V2 + "X")
    assert (over.status, over.body, over.headers["retry-after"]) == (429, b"", "9")


async def test_request_ids(client: Client) -> None:
    assert (await client.get("/x", x_request_id="abc-1")).headers["x-request-id"] == "abc-1"
    for bad in ("a b", "x" * 200, "é"):
        made = (await client.get("/x", x_request_id=bad)).headers["x-request-id"]
        assert made != bad
        assert made


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"content-encoding": "br"}, 415),
        (b"{}", {"content-encoding": "gzip"}, 422),
        (gzip.compress(b"{}", mtime=0) + b"x", {"content-encoding": "gzip"}, 422),
        (gzip.compress(b"{}", mtime=0)[:-3], {"content-encoding": "gzip"}, 422),
        (gzip.compress(b" " * 2_000_000), {"content-encoding": "gzip"}, 413),
        (b" " * 1_048_577, {}, 413),
        (b"{}", {"content-length": "1048577"}, 413),
        (b"{}", {"content-length": "x"}, 400),
        (b"{}", {"transfer-encoding": "chunked"}, 400),
        (b"{", {}, 422),
        (b"", {}, 422),
        (b"", {"content-type": "application/json"}, 422),
        (b"", {"content-type": "text/plain"}, 422),
        (b"[" * 100, {}, 422),
        (b'{"source_id":1,"source_id":2}', {}, 422),
        (b"{}", {"x": "y" * 33_000}, 431),
    ],
)
async def test_bodies_that_are_not_taken(
    client: Client, body: bytes, headers: dict[str, str], status: int
) -> None:
    got = await client.ask("POST", POST, body, headers)
    assert got.status == status, got.body
    assert "detail" in got.document


async def test_the_list_of_wrong_fields_has_fastapi_s_form(client: Client) -> None:
    got = await client.post(POST, registration(source_id=None, to_address={}))
    assert got.status == 422
    assert {tuple(one["loc"]) for one in got.document["detail"]} == {
        ("body", "source_id"),
        ("body", "to_address", "postal_code"),
        ("body", "to_address", "country_code"),
    }
    assert all(one.keys() == {"loc", "msg", "type"} for one in got.document["detail"])


async def test_packed_and_split_bodies_are_taken(client: Client) -> None:
    packed = gzip.compress(orjson.dumps(registration("G1")))
    assert (await client.ask("POST", POST, packed, {"content-encoding": "gzip"})).status == 200
    whole = orjson.dumps(registration("S1"))
    pieces = [whole[:10], b"", whole[10:]]
    assert (await client.ask("POST", POST, pieces=pieces)).status == 200
    suffix = {"content-type": "application/vnd.api+json; charset=utf-8"}
    assert (await client.ask("POST", POST, orjson.dumps(registration("T1")), suffix)).status == 200


async def test_a_long_body_is_taken(client: Client) -> None:
    item = {
        "description": "x" * 200,
        "weight": {"value": 1, "unit": "kg"},
        "price": {"value": 1, "currency": "EUR"},
    }
    got = await client.post(POST, registration(parcel_items=[item] * 2000))
    assert got.status == 200


async def test_an_endless_body_is_cut_by_size(client: Client) -> None:
    got = await client.ask("POST", POST, pieces=[b" " * 100_000] * 100)
    assert got.status == 413


async def test_a_client_that_leaves_is_no_fault_of_ours(app: Any) -> None:
    observe.configure("test", log := io.StringIO())
    got = await call(
        app, "POST", POST, headers={"authorization": AUTHORIZATION.decode()}, leaves=True
    )
    assert (got.status, got.json) == (400, {"detail": "The body breaks off."})
    assert log.getvalue() == ""


async def test_a_slow_body_is_cut_by_time(hasty: Any) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": POST,
        "raw_path": POST.encode(),
        "query_string": b"",
        "headers": [(b"authorization", AUTHORIZATION)],
    }
    await hasty(scope, receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert orjson.loads(sent[1]["body"]) == {"detail": "Request Timeout"}


async def test_long_addresses(client: Client) -> None:
    for path in (POST + "/" + "x" * 8200, POST + "/x?y=" + "z" * 8200):
        got = await client.get(path)
        assert (got.status, list(got.document)) == (414, ["detail"])
    assert (await client.get(V2 + "x" * 8200)).status == 414


async def test_outages_and_faults_have_the_published_form(client: Client, parcels: Parcels) -> None:
    parcels.fail_with = DatabaseUnavailable("gone")
    for got in (await client.get(POST + "/X"), await client.post(POST, registration())):
        assert (got.status, list(got.document)) == (503, ["errors"])
        assert got.headers["retry-after"]
    assert (await client.get(V2 + "X")).document["error"]["code"] == 503
    parcels.fail_with = RuntimeError("a secret of ours")
    for got in (await client.get(V2 + "X"), await client.post(POST, registration())):
        assert got.status == 500
        assert b"secret" not in got.body
        assert got.headers["x-request-id"]


async def test_a_request_ends_in_time(hasty: Any, parcels: Parcels) -> None:
    client = Client(hasty)
    parcels.slow_seconds = 60
    for got in (await client.get(POST + "/X"), await client.post(POST, registration())):
        assert got.status == 503


async def test_health_and_docs_are_open(app: Any) -> None:
    nobody = Client(app, None)
    for path in ("/", "/healthz", "/readyz", "/docs", "/docs/start.js", "/openapi.json"):
        assert (await nobody.get(path)).status == 200, path
    assert len((await nobody.get("/docs/assets/swagger-ui-bundle.js")).body) > 100_000
    front = (await nobody.get("/")).document
    assert front["name"] == "Milepost"
    assert front["version"] == (await nobody.get(front["openapi"])).document["info"]["version"]
    page = await nobody.get(front["docs"])
    assert b"://" not in page.body
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert (await nobody.get("/docs/assets/%2e%2e/core.py")).status == 404


async def test_docs_can_be_switched_off() -> None:
    async with started(application(Parcels(), docs=False)) as quiet:
        for path in ("/docs", "/openapi.json", "/docs/start.js"):
            assert (await Client(quiet, None).get(path)).status == 404
        assert (await Client(quiet, None).get("/")).document == {"name": "Milepost"}


async def test_the_description_names_the_public_address() -> None:
    for given, said in (("https://track.example.org/", "https://track.example.org"), ("", "/")):
        async with started(application(Parcels(), public_url=given)) as app:
            described = (await Client(app, None).get("/openapi.json")).document
            assert described["servers"] == [{"url": said}]
