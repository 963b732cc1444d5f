"""The token endpoint against RFC 6749 and the published schema."""

import base64
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI

from milepost.accounts import keys as accounts
from milepost.accounts.budget import Budgets
from milepost.accounts.gatekeeper import Gatekeeper
from milepost.accounts.secret_keys import SecretKeys
from milepost.api.client_address import TrustedProxies
from milepost.api.oauth2 import TokenParts, token_router
from milepost.api.rate_limits import TokenLimits
from milepost.db.pool import Pool

from .asgi import Answer, call

KEYS = SecretKeys((b"k" * 32,))
FORM = "application/x-www-form-urlencoded"
GRANT = {"grant_type": "client_credentials"}


class Client:
    """A client of the token endpoint with one good key."""

    def __init__(self, app: FastAPI, parts: TokenParts, new: accounts.NewKey) -> None:
        self.app, self.parts = app, parts
        self.public_key, self.secret = new.key.public_key, new.secret_key

    async def post(
        self,
        form: dict[str, str] | bytes,
        pair: tuple[str, str] | None = None,
        content_type: str = FORM,
        path: str = "/oauth2/token",
        more: list[tuple[str, str]] | None = None,
    ) -> Answer:
        headers = [("content-type", content_type), *(more or [])]
        if pair is not None:
            packed = base64.b64encode(":".join(pair).encode()).decode()
            headers.append(("authorization", f"Basic {packed}"))
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        return await call(self.app, "POST", path, body, headers)

    @property
    def pair(self) -> tuple[str, str]:
        return self.public_key, self.secret

    @property
    def form(self) -> dict[str, str]:
        return {"client_id": self.public_key, "client_secret": self.secret}


@pytest.fixture
async def client(app_pool: Pool, admin_pool: Pool, account: int) -> Client:
    parts = TokenParts(
        pool=app_pool,
        secret_keys=KEYS,
        gatekeeper=Gatekeeper(app_pool, KEYS),
        budgets=Budgets(app_pool),
        proxies=TrustedProxies(""),
        limits=TokenLimits(per_client=20, per_address=50),
    )
    app = FastAPI()
    app.include_router(token_router(lambda _request: parts))
    return Client(app, parts, await accounts.create_key(admin_pool, KEYS, account))


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/token/"])
@pytest.mark.parametrize("scope", [{}, {"scope": "api"}, {"scope": ""}])
async def test_a_key_pair_is_exchanged_for_a_token(
    client: Client, path: str, scope: dict[str, str]
) -> None:
    for answer in (
        await client.post(GRANT | scope, client.pair, path=path),
        await client.post(GRANT | scope | client.form, path=path),
        await client.post(GRANT | scope | {"client_id": client.public_key}, client.pair, path=path),
    ):
        assert answer.status == 200
        assert answer.header("cache-control") == "no-store"
        assert {**answer.json, "access_token": ""} == {
            "access_token": "",
            "expires_in": 3600,
            "scope": "api",
            "token_type": "bearer",
        }
        caller = await client.parts.gatekeeper.bearer(answer.json["access_token"])
        assert caller.account_name.startswith("account")


def assert_refused(answer: Answer, status: int, error: str) -> None:
    assert answer.status == status
    assert answer.json["error"] == error
    assert answer.json["status_code"] == status
    assert answer.json["error_description"]
    assert answer.header("cache-control") == "no-store"
    assert (answer.header("www-authenticate") is not None) == (status == 401)


async def test_requests_that_are_wrong_are_told_how(client: Client) -> None:
    pair, form = client.pair, client.form
    assert_refused(await client.post({}, pair), 400, "invalid_request")
    wrong_grant = {"grant_type": "password"}
    assert_refused(await client.post(wrong_grant, pair), 400, "unsupported_grant_type")
    for scope in ("admin", "api admin", "read:parcel"):
        assert_refused(await client.post(GRANT | {"scope": scope}, pair), 400, "invalid_scope")
    assert_refused(await client.post(GRANT | form, pair), 400, "invalid_request")
    other = GRANT | {"client_id": "mp_1_other"}
    assert_refused(await client.post(other, pair), 400, "invalid_request")
    twice = urlencode(GRANT).encode() + b"&grant_type=client_credentials"
    assert_refused(await client.post(twice, pair), 400, "invalid_request")
    json = "application/json"
    assert_refused(await client.post(b"{}", pair, json), 400, "invalid_request")
    assert_refused(await client.post(b"\xff=%ff", pair), 400, "invalid_request")
    assert_refused(await client.post(b"&".join([b"a=b"] * 99), pair), 400, "invalid_request")


async def test_clients_that_are_wrong_all_hear_the_same(client: Client) -> None:
    answers = [
        await client.post(GRANT, (client.public_key, "wrong")),
        await client.post(GRANT, ("mp_1_unknown", client.secret)),
        await client.post(GRANT, ("", "")),
        await client.post(GRANT | client.form | {"client_secret": "wrong"}),
        await client.post(GRANT | client.form | {"client_id": "x\0"}),
    ]
    for answer in answers:
        assert_refused(answer, 401, "invalid_client")
    assert len({answer.body for answer in answers}) == 1
    assert_refused(await client.post(GRANT), 401, "invalid_client")
    bearer = [("authorization", "Bearer x")]
    assert_refused(await client.post(GRANT, more=bearer), 401, "invalid_client")


async def test_a_suspended_account_gets_no_token(
    client: Client, admin_pool: Pool, account: int
) -> None:
    await accounts.set_suspended(admin_pool, account, True)
    assert_refused(await client.post(GRANT, client.pair), 400, "unauthorized_client")


async def test_who_asks_too_often_waits(client: Client) -> None:
    for _ in range(20):
        assert (await client.post(GRANT, (client.public_key, "wrong"))).status == 401
    answer = await client.post(GRANT, (client.public_key, "wrong"))
    assert (answer.status, answer.body) == (429, b"")
    assert 58 <= int(answer.header("retry-after") or 0) <= 60
    assert answer.header("cache-control") == "no-store"
    assert (await client.post(GRANT, ("mp_1_other", "wrong"))).status == 401
    elsewhere = await call(
        client.app,
        "POST",
        "/oauth2/token",
        urlencode(GRANT | client.form).encode(),
        {"content-type": FORM},
        client="192.0.2.9",
    )
    assert elsewhere.status == 200
    for number in range(50):
        answer = await client.post(GRANT, (f"mp_1_{number}", "wrong"))
    assert answer.status == 429


async def test_the_documented_schema_is_there(client: Client) -> None:
    schema = client.app.openapi()
    assert list(schema["paths"]) == ["/oauth2/token"]
    assert FORM in schema["paths"]["/oauth2/token"]["post"]["requestBody"]["content"]
