"""``milepost mcp --http`` on a real socket: many clients, each with credentials of its own."""

import asyncio
import base64
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from bench.ports import free_port
from mcp import Client as Agent
from mcp import MCPError
from mcp.client.streamable_http import streamable_http_client
from tests.live_server import MILEPOST, STOP_SECONDS, Client, Server, environment
from tests.mcp.parcels import given, refused, registration, text_of

from milepost.mcp.http_door import security

# Whoever comes first waits for a whole installation and the door.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def door(server: Server) -> Iterator[Client]:
    """The door, as a client without credentials."""
    words = ["mcp", "--http", "--port", str(free_port()), "--json"]
    with subprocess.Popen(
        [MILEPOST, *words],
        env=environment(server.state_dir, server.port) | {"MILEPOST_MAX_BODY_BYTES": "100000"},
        stdout=subprocess.PIPE,
    ) as running:
        try:
            assert running.stdout is not None
            port = urlsplit(json.loads(running.stdout.readline())["url"]).port
            assert port is not None
            for _ in range(600):
                try:
                    Client(port).get("/mcp")
                    break
                except OSError:
                    time.sleep(0.1)
            yield Client(port)
        finally:
            running.terminate()
        assert running.wait(STOP_SECONDS) == 0


def basic(client: Client) -> str:
    return "Basic " + base64.b64encode(client.user.encode()).decode()


@asynccontextmanager
async def agent_at(door: Client, authorization: str, mode: str = "auto") -> AsyncIterator[Agent]:
    url = f"http://127.0.0.1:{door.port}/mcp"
    headers = {"authorization": authorization}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Agent(streamable_http_client(url, http_client=http), mode=mode) as agent,
    ):
        yield agent


async def test_each_client_has_its_own_account(door: Client, acme: Client, rival: Client) -> None:
    wanted = registration()
    async with (
        agent_at(door, basic(acme)) as one,
        agent_at(door, basic(rival), mode="legacy") as other,
    ):
        made = await given(one, "register_parcel", **wanted)
        parcel_id = made["parcel"]["parcel_id"]
        mine, not_mine = await asyncio.gather(
            given(one, "track_parcel", parcel_id=parcel_id),
            refused(other, "track_parcel", parcel_id=parcel_id),
        )
    assert mine["parcel"]["parcel_id"] == parcel_id
    assert "not_found" in not_mine


async def test_an_access_token_does_as_well(door: Client, acme: Client) -> None:
    form = b"grant_type=client_credentials"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    token = acme.ask("POST", "/oauth2/token", form, headers).document["access_token"]
    async with agent_at(door, f"Bearer {token}") as agent:
        assert "parcels" in await given(agent, "list_parcels")


def test_credentials_come_before_anything_else(door: Client, acme: Client) -> None:
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    for headers in (
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic bm9ib2R5OmF0LWFsbA=="},
        {"Host": "evil.example"},
    ):
        for path in ("/mcp", "/", "/elsewhere"):
            got = door.post(path, hello, headers)
            assert got.status == 401
            assert got.headers["www-authenticate"].startswith("Basic")
            assert "tools" not in got.document
    known = {"Authorization": basic(acme)}
    assert door.post("/elsewhere", hello, known).status == 404
    assert door.get("/mcp", known).status == 405
    assert door.post("/mcp", b"x" * 100_001, known).status == 413
    known |= {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    assert door.post("/mcp", b"{", known).status == 400
    assert door.post("/mcp", hello, known | {"Host": "evil.example"}).status == 421
    assert door.post("/mcp", hello, known | {"Origin": "https://evil.example"}).status == 403


async def test_a_revoked_key_does_nothing_at_once(door: Client, server: Server) -> None:
    leaver = server.account("leaver")
    async with agent_at(door, basic(leaver)) as agent:
        await given(agent, "list_parcels")
        server.command("key", "revoke", leaver.user.partition(":")[0])
        # The API itself believes a key for a moment.
        async with asyncio.timeout(120):
            while not await is_refused(agent, door, basic(leaver)):
                await asyncio.sleep(0.5)


async def is_refused(agent: Agent, door: Client, authorization: str) -> bool:
    """Whether its key is none any more, as the API says it. The door believes that for half a
    minute; on a busy machine it asks again before the agent does, and lets nobody in."""
    try:
        result = await agent.call_tool("list_parcels", {})
    except MCPError:
        got = await asyncio.to_thread(door.post, "/mcp", {}, {"Authorization": authorization})
        return got.status == 401
    return bool(result.is_error) and "The API key was refused" in text_of(result)


def test_only_names_we_were_told_are_us() -> None:
    made = security("parcels.example.com, other.example")
    assert {"localhost:*", "[::1]:*", "parcels.example.com", "other.example:*"} <= {
        *made.allowed_hosts
    }
    assert "https://parcels.example.com" in made.allowed_origins
    assert "" not in security("").allowed_hosts
