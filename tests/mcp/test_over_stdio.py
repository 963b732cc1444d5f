"""``milepost mcp`` as an agent starts it: a process, its pipes, and the SDK's own client."""

import json
import subprocess

from mcp import Client as Agent
from mcp import StdioServerParameters
from tests.live_server import MILEPOST, Client, Server, environment, inherited
from tests.mcp.parcels import given, refused, registration

CALL = {"name": "list_parcels", "arguments": {}}


def process(server: Server, key: str, *words: str) -> StdioServerParameters:
    """Started as in an agent's configuration; it finds the API by the installation's own port."""
    variables = environment(server.state_dir, server.port) | {"MILEPOST_API_KEY": key}
    return StdioServerParameters(command=str(MILEPOST), args=["mcp", *words], env=variables)


async def test_an_agent_registers_and_tracks(server: Server, acme: Client) -> None:
    async with Agent(process(server, acme.user)) as agent:
        assert "register_parcel" in (agent.instructions or "")
        made = await given(agent, "register_parcel", **registration())
        parcel_id = made["parcel"]["parcel_id"]
        assert acme.get(f"/api/milepost/v1/parcels/{parcel_id}").status == 200
        assert "not_found" in await refused(agent, "track_parcel", tracking_number="NOBODYS")


def test_an_older_client_and_nothing_but_the_protocol_on_standard_output(server: Server) -> None:
    # With debug logs, a wrong key and an API that is not there: all of it goes elsewhere.
    client = {"name": "test", "version": "0"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": CALL},
    ]
    with subprocess.Popen(
        [MILEPOST, "mcp", "--url", "http://127.0.0.1:9"],
        env=inherited() | {"MILEPOST_API_KEY": "mp_a:b", "MILEPOST_LOG_LEVEL": "debug"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdin.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        running.stdin.flush()
        first, second = (json.loads(running.stdout.readline()) for _ in range(2))
        running.stdin.close()
        assert running.stdout.read() == b""
        told = running.stderr.read().decode()
    assert running.returncode == 0
    assert first["result"]["serverInfo"]["name"] == "milepost"
    assert second["result"]["isError"] is True
    assert "can't be reached" in second["result"]["content"][0]["text"]
    assert "the API did not answer" in told
    assert "mp_a" not in told


def test_without_a_key_it_says_which_setting_is_missing() -> None:
    done = subprocess.run([MILEPOST, "mcp"], env=inherited(), capture_output=True, timeout=180)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"MILEPOST_API_KEY" in done.stderr
    wrong = ["mcp", "--url", "ftp://somewhere"]
    done = subprocess.run([MILEPOST, *wrong], env=inherited(), capture_output=True, timeout=180)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"http://" in done.stderr
