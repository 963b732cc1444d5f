"""What the tools are called with, and what is read from their answers."""

import itertools
from typing import Any

from mcp import Client
from mcp_types import CallToolResult, TextContent

_numbers = itertools.count(1)


def registration(**more: Any) -> dict[str, Any]:
    """Arguments of ``register_parcel``, each time for a new number."""
    return {
        "carrier_code": "sandbox",
        "tracking_number": f"SBX-HAPPY-8640X-MCP{next(_numbers):04d}",
        "from_country_code": "NL",
        "from_postal_code": "5611EM",
        "to_country_code": "DE",
        "to_postal_code": "10115",
        **more,
    }


def text_of(result: CallToolResult) -> str:
    (only,) = result.content
    assert isinstance(only, TextContent)
    return only.text


async def given(client: Client, tool: str, **arguments: Any) -> Any:
    """The structured result of a call that succeeds."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    return result.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """The sentence in which a call is refused."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert result.structured_content is None
    told = text_of(result)
    assert "Traceback" not in told
    assert "\n" not in told
    return told
