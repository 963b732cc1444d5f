"""The tools over a real API: the SDK's client calls them, and the API decides."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from bench.ports import free_port
from mcp import Client as Agent
from mcp import MCPError
from tests.live_server import Client, Server
from tests.mcp.parcels import given, refused, registration, text_of

from milepost.mcp.api_client import authorization_of
from milepost.mcp.server import build
from milepost.mcp.tools import TOOLS

UPS = "1Z5R89390357567127"


@asynccontextmanager
async def agent_of(client: Client) -> AsyncIterator[Agent]:
    url = f"http://127.0.0.1:{client.port}"
    async with Agent(build(url, authorization_of(client.user))) as agent:
        yield agent


async def test_a_parcel_is_registered_tracked_explained_and_listed(acme: Client) -> None:
    wanted = registration(order_number="#4711", recipient_name="Jane", source_id="mcp-1")
    async with agent_of(acme) as agent:
        made = await given(agent, "register_parcel", **wanted)
        assert made["new"] is True
        parcel_id = made["parcel"]["parcel_id"]
        assert made["parcel"]["ship_with"]["properties"]["shipping_option_code"] == (
            "sandbox:registered"
        )
        assert made["parcel"]["to_address"]["name"] == "Jane"
        by_number = await given(agent, "track_parcel", tracking_number=wanted["tracking_number"])
        assert by_number["parcel"]["parcel_id"] == parcel_id
        told = await given(agent, "explain_parcel", parcel_id=parcel_id)
        assert told["explanation"]["status_rule"]["code"]
        found = await given(agent, "list_parcels", order_number="#4711", active=True)
        assert [one["parcel_id"] for one in found["parcels"]] == [parcel_id]
        assert found["next_cursor"] is None


async def test_registering_again_changes_nothing(acme: Client) -> None:
    wanted = registration(source_id="mcp-again")
    async with agent_of(acme) as agent:
        first = await given(agent, "register_parcel", **wanted)
        again = await given(agent, "register_parcel", **wanted)
        assert again["new"] is False
        assert again["parcel"]["parcel_id"] == first["parcel"]["parcel_id"]
        assert again["parcel"]["announced_at"] == first["parcel"]["announced_at"]
        # Another parcel under that source_id, and that number as another order's: not the same.
        other = registration(source_id="mcp-again")
        assert "taken" in await refused(agent, "register_parcel", **other)
        assert "taken" in await refused(
            agent, "register_parcel", **wanted | {"source_id": "mcp-else"}
        )


async def test_a_carrier_that_is_clear_need_not_be_named(acme: Client) -> None:
    wanted = registration(tracking_number=UPS)
    del wanted["carrier_code"]
    async with agent_of(acme) as agent:
        told = await given(agent, "recognise_number", number=UPS, to_country_code="DE")
        made = await given(agent, "register_parcel", **wanted)
        spelled = wanted | {"tracking_number": "1z 5r8939 0357 5671 27"}
        again = await given(agent, "register_parcel", **spelled)
        unclear = await refused(
            agent, "register_parcel", **wanted | {"tracking_number": "05162815323093"}
        )
    assert told["recognition"]["best"] == "ups"
    assert made["new"] is True
    assert made["recognised"]["carrier_code"] == made["parcel"]["carrier_code"] == "ups"
    option = made["parcel"]["ship_with"]["properties"]["shipping_option_code"]
    assert option == "ups:registered"
    assert (again["new"], again["parcel"]["parcel_id"]) == (False, made["parcel"]["parcel_id"])
    assert "carrier_unclear" in unclear
    assert "dpd " in unclear


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("SBX/HAPPY 8640X", "sbx/happy8640x"),
        ("AB .. 1", "ab..1"),
        ("%2F?#&é", "%2f?#&É"),
        ("..", ".."),
        ("a/../b", "A/../B"),
    ],
)
async def test_odd_numbers_are_found(acme: Client, registered: str, asked: str) -> None:
    async with agent_of(acme) as agent:
        made = await given(agent, "register_parcel", **registration(tracking_number=registered))
        found = await given(agent, "track_parcel", tracking_number=asked, carrier_code="sandbox")
    assert found["parcel"]["parcel_id"] == made["parcel"]["parcel_id"]


async def test_events_are_bounded_and_the_rest_is_counted(acme: Client) -> None:
    # A carrier that nobody can ask here, and nothing overdue: no other events come in between.
    wanted = registration(carrier_code="postnl")
    now = datetime.now(UTC)
    async with agent_of(acme) as agent:
        made = await given(agent, "register_parcel", **wanted)
        parcel_id = made["parcel"]["parcel_id"]
        moments = [now + timedelta(minutes=minutes) for minutes in range(3)]
        sent = [{"event_at": moment.isoformat(), "phase": "sorted"} for moment in moments]
        path = f"/api/milepost/v1/parcels/{parcel_id}/events"
        assert acme.post(path, {"events": sent}).status == 200
        everything = await given(agent, "track_parcel", parcel_id=parcel_id, events=100)
        newest = await given(agent, "track_parcel", parcel_id=parcel_id, events=1)
        explained = await given(agent, "explain_parcel", parcel_id=parcel_id, events=0)
    count = len(everything["parcel"]["events"])
    assert count >= 4
    assert everything["events_left_out"] == 0
    assert newest["parcel"]["events"] == everything["parcel"]["events"][:1]
    assert newest["events_left_out"] == count - 1
    assert explained["explanation"]["events"] == []
    assert explained["events_left_out"] >= count


async def test_pages_go_on_with_the_cursor(server: Server) -> None:
    async with agent_of(server.account("pages")) as agent:
        made = [await given(agent, "register_parcel", **registration()) for _ in range(3)]
        first = await given(agent, "list_parcels", limit=2, carrier_code=["sandbox"])
        cursor = first["next_cursor"]
        rest = await given(agent, "list_parcels", limit=2, carrier_code=["sandbox"], cursor=cursor)
        listed = [one["parcel_id"] for one in first["parcels"] + rest["parcels"]]
        assert listed == [one["parcel"]["parcel_id"] for one in reversed(made)]
        assert "events" not in first["parcels"][0]
        assert "foreign_cursor" in await refused(agent, "list_parcels", cursor=cursor)


async def test_other_accounts_parcels_do_not_exist(acme: Client, rival: Client) -> None:
    wanted = registration()
    async with agent_of(acme) as agent:
        made = await given(agent, "register_parcel", **wanted)
    parcel_id = made["parcel"]["parcel_id"]
    async with agent_of(rival) as agent:
        for tool in ("track_parcel", "explain_parcel"):
            told = await refused(agent, tool, parcel_id=parcel_id)
            assert told == await refused(agent, tool, parcel_id="999999999")
            assert "not_found" in told
            number = wanted["tracking_number"]
            assert "not_found" in await refused(agent, tool, tracking_number=number)
        assert (await given(agent, "list_parcels", query="mcp"))["parcels"] == []
        # The number is free in this account.
        assert (await given(agent, "register_parcel", **wanted))["new"] is True


async def test_over_budget_says_how_long_to_wait(server: Server) -> None:
    async with agent_of(server.account("tight", reads=1, writes=1)) as agent:
        for _ in range(2):
            told = await agent.call_tool("list_parcels", {})
        assert told.is_error
        assert "Over the account's budget. Try again in " in text_of(told)
        assert text_of(told).endswith(" seconds.")


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("track_parcel", {}, "either tracking_number or parcel_id"),
        ("track_parcel", {"tracking_number": "  "}, "either tracking_number or parcel_id"),
        ("track_parcel", {"parcel_id": "1", "tracking_number": "A"}, "either"),
        ("track_parcel", {"parcel_id": "x' OR 1=1"}, "parcel_id"),
        ("track_parcel", {"parcel_id": "1", "events": 101}, "events"),
        ("track_parcel", {"tracking_number": "A\x00B"}, "not_found"),
        ("list_parcels", {"limit": 51}, "limit"),
        ("list_parcels", {"statsu": ["DELIVERED"]}, "statsu"),
        ("list_parcels", {"status": ["NO_SUCH"]}, "Not one of"),
        ("list_parcels", {"status": ["A,B"]}, "status.0"),
        ("list_parcels", {"updated_since": "yesterday"}, "updated_since"),
        ("register_parcel", {"carrier_code": "sandbox"}, "tracking_number: Field required"),
        ("recognise_number", {"number": "A", "to_country_code": "1"}, "Two letters"),
        ("register_parcel", registration(announced_at="soon"), "announced_at"),
        ("register_parcel", registration(tracking_number="\u202e"), "tracking_number"),
        ("register_parcel", registration(recipient_name="\ud800"), "recipient_name"),
    ],
)
async def test_bad_input_is_named(
    acme: Client, tool: str, arguments: dict[str, Any], named: str
) -> None:
    async with agent_of(acme) as agent:
        told = await refused(agent, tool, **arguments)
    assert named in told
    assert "OR 1=1" not in told


async def test_a_wrong_key_is_refused(acme: Client) -> None:
    async with agent_of(Client(acme.port, "mp_none:at-all")) as agent:
        assert "The API key was refused" in await refused(agent, "list_parcels")


async def test_the_api_is_down() -> None:
    async with agent_of(Client(free_port(), "mp_a:b")) as agent:
        told = await refused(agent, "list_parcels")
    assert "can't be reached" in told


async def test_an_unknown_tool_is_an_error_of_the_protocol(acme: Client) -> None:
    async with agent_of(acme) as agent:
        with pytest.raises(MCPError, match="no such tool"):
            await agent.call_tool("erase_parcel", {})


async def test_results_keep_the_schemas_that_are_served(acme: Client) -> None:
    async with agent_of(acme) as agent:
        listed = {tool.name: tool for tool in (await agent.list_tools()).tools}
        assert list(listed) == list(TOOLS)
        wanted = registration()
        calls: dict[str, dict[str, Any]] = {
            "register_parcel": wanted,
            "track_parcel": {"tracking_number": wanted["tracking_number"]},
            "recognise_number": {"number": UPS, "to_country_code": "NL"},
            "list_parcels": {},
            "explain_parcel": {"tracking_number": wanted["tracking_number"]},
        }
        results = {name: await agent.call_tool(name, calls[name]) for name in listed}
    for name, result in results.items():
        tool = listed[name]
        assert tool.output_schema is not None
        valid(tool.output_schema, result.structured_content)
        assert json.loads(text_of(result)) == result.structured_content
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (name != "register_parcel")
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        valid(tool.input_schema, calls[name])
    parcel = results["track_parcel"].structured_content["parcel"]
    valid(acme.get("/schemas/v1/parcel.json").document, parcel)
    for event in parcel["events"]:
        valid(acme.get("/schemas/v1/event.json").document, event)
    with pytest.raises(jsonschema.ValidationError):
        valid(acme.get("/schemas/v1/parcel.json").document, parcel | {"surprise": 1})


def valid(schema: dict[str, Any], document: Any) -> None:
    checker = jsonschema.FormatChecker()
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(document)


async def test_a_fault_of_ours_stays_in_the_log(
    acme: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("milepost.mcp.tools._cut", broken)
    async with agent_of(acme) as agent:
        await given(agent, "register_parcel", **(wanted := registration()))
        told = await refused(agent, "track_parcel", tracking_number=wanted["tracking_number"])
    assert "fault of its own" in told
    assert "secret" not in told
