"""The protocol: lists the tools, calls them, and turns every failure into a tool error."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import structlog
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as Listed
from pydantic import ValidationError

from milepost.mcp.api_client import Api, Refusal, api_at
from milepost.mcp.tools import TOOLS, Asking, Tool

INSTRUCTIONS = (
    "Milepost tracks parcels of any carrier. register_parcel starts tracking, track_parcel says "
    "where a parcel is, list_parcels finds parcels, explain_parcel says why a status is what it "
    "is, recognise_number whose a number is. Times are UTC. `freshness` says how old an answer "
    "is; an error says what to correct or how long to wait."
)
_FAULT = "Milepost could not do this because of a fault of its own; its log says more"

Context = ServerRequestContext[Api, Any]

log = structlog.get_logger()


def build(url: str, authorization: str = "") -> Server[Api]:
    """A server whose tools ask the API at ``url``.

    ``authorization`` is used for every call; empty: each HTTP request brings its own.
    """

    @asynccontextmanager
    async def lifespan(_: Server[Api]) -> AsyncIterator[Api]:
        async with api_at(url) as api:
            yield api

    async def list_tools(_: Context, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[_listed(tool) for tool in TOOLS.values()])

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        tool = TOOLS.get(params.name)
        if tool is None:
            known = ", ".join(TOOLS)
            raise MCPError(INVALID_PARAMS, f"There is no such tool; there are {known}")
        # Over HTTP the door has seen to it that there is exactly one.
        own = "" if context.request is None else context.request.headers["authorization"]
        ask = Asking(context.lifespan_context, authorization or own)
        return await call(tool, ask, params.arguments or {})

    return Server(
        "milepost",
        version=version("milepost"),
        title="Milepost",
        instructions=INSTRUCTIONS,
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def call(tool: Tool, ask: Asking, arguments: dict[str, Any]) -> CallToolResult:
    """What a tool gives, or the sentence in which it refuses; it never raises."""
    try:
        result = await tool.run(ask, tool.takes.model_validate(arguments))
    except ValidationError as wrong:
        return _refused(_wrong_fields(wrong))
    except Refusal as refused:
        return _refused(str(refused))
    except Exception as error:
        log.error("a tool failed", reason=tool.name, exc_info=error)
        return _refused(_FAULT)
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    return CallToolResult(content=[TextContent(text=text)], structured_content=result)


async def serve_stdio(server: Server[Api]) -> None:
    """Serves one client over standard input and output until it hangs up."""
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _listed(tool: Tool) -> Listed:
    return Listed(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.takes.model_json_schema(),
        output_schema=tool.gives,
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=not tool.writes,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )


def _refused(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], is_error=True)


def _wrong_fields(wrong: ValidationError) -> str:
    """Each argument that is wrong, and why; never its value."""
    return "; ".join(
        ": ".join(part for part in (".".join(map(str, one["loc"])), one["msg"]) if part)
        for one in wrong.errors(include_input=False, include_url=False, include_context=False)
    )
