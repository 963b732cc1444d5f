"""What an agent is told of an API that answers oddly, or with one of its refusals."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from milepost.mcp.api_client import MAX_ANSWER_BYTES, Refusal, api_at, authorization_of, refusal


@asynccontextmanager
async def answering(**answer: Any) -> AsyncIterator[str]:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(**answer)

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", handle)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"body": b"x" * (MAX_ANSWER_BYTES + 1)}, "over 4 MiB"),
        ({"body": b"<html>"}, "answered 200 without saying why"),
        ({"status": 502, "body": b"<html>"}, "answered 502"),
        ({"status": 302, "headers": {"location": "http://127.0.0.1:1/"}}, "answered 302"),
        ({"status": 429, "headers": {"retry-after": "9"}}, "Try again in 9 seconds."),
    ],
)
async def test_odd_answers_become_a_sentence(answer: dict[str, Any], told: str) -> None:
    async with answering(**answer) as url, api_at(url) as api:
        with pytest.raises(Refusal, match=told):
            await api.get("Bearer x", "/api")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"code": "taken", "detail": "It is there."}, "It is there. (taken)"),
        (
            {"code": "c", "detail": "d", "errors": [{"loc": ["body", 0], "msg": "m"}]},
            "body.0: m (c)",
        ),
        ({"detail": "Parcel does not exist"}, "Parcel does not exist"),
        ({"detail": [{"loc": ["query", "q"], "msg": "no"}]}, "query.q: no"),
        ({"errors": [{"detail": "Invalid"}]}, "Invalid"),
        ({"error": {"message": "No"}}, "No"),
        (["?"], "The API answered 422 without saying why"),
        (None, "The API answered 422 without saying why"),
    ],
)
def test_every_form_of_refusal_is_read(document: Any, told: str) -> None:
    assert str(refusal(422, document)) == told


def test_waiting_is_told_only_in_whole_seconds() -> None:
    assert refusal(429, None, "7").retry_after == 7
    assert str(refusal(429, None, "7")) == "Over the account's budget. Try again in 7 seconds."
    assert refusal(503, None, "Wed, 21 Oct 2026 07:28:00 GMT").retry_after is None


def test_a_key_is_basic_and_a_token_is_bearer() -> None:
    assert authorization_of("a:b") == "Basic YTpi"
    assert authorization_of("mp_token") == "Bearer mp_token"
