"""``milepost mcp``: the door for agents, over standard input and output or over HTTP."""

import asyncio
import json
import multiprocessing
import os
import sys
from typing import Annotated, Any

import typer

from milepost import observe, settings
from milepost.cli.addresses import check_door, claim_port, url_of
from milepost.cli.processes import drain_when_orphaned
from milepost.errors import ConfigurationError
from milepost.settings import Settings

APPLICATION = "milepost.cli.agents:application"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mcp")(serve)


def serve(
    http: Annotated[bool, typer.Option("--http", help="Serve HTTP instead.")] = False,
    port: Annotated[
        int, typer.Option(help="With --http; else MILEPOST_MCP_PORT.", min=-1, show_default=False)
    ] = -1,
    url: Annotated[str, typer.Option(help="Of the API; MILEPOST_API_URL.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Say in JSON where we listen.")] = False,
) -> None:
    """Let agents register, track, list and explain parcels (Model Context Protocol)."""
    chosen = settings.load()
    observe.configure("mcp", level=chosen.log_level)
    chosen = chosen.model_copy(update={"api_url": api_url(url or chosen.api_url, chosen)})
    if not http:
        _serve_stdio(chosen)
        return
    wanted = chosen.mcp_port if port < 0 else port
    _serve_http(
        chosen.model_copy(update={"host": chosen.mcp_host, "port": wanted, "api_processes": 1}),
        as_json,
    )


def api_url(given: str, chosen: Settings) -> str:
    """Where the API is: as told, else this installation's own host and port."""
    found = given or url_of(chosen, chosen.port)
    if not found.startswith(("http://", "https://")):
        raise ConfigurationError("the API's URL must begin with http:// or https://")
    return found.rstrip("/")


def _serve_stdio(chosen: Settings) -> None:
    if chosen.api_key is None:
        raise ConfigurationError("set MILEPOST_API_KEY to a key (public:secret) or an access token")
    # Here and below: only this command pays for importing the SDK.
    from milepost.mcp.api_client import authorization_of
    from milepost.mcp.server import build, serve_stdio

    authorization = authorization_of(chosen.api_key.get_secret_value().strip())
    asyncio.run(serve_stdio(build(chosen.api_url, authorization)))


def _serve_http(chosen: Settings, as_json: bool) -> None:
    from milepost.cli.api_process import server
    from milepost.mcp.http_door import PATH

    check_door(chosen)
    # Bound once without sharing, else a taken port is never noticed.
    with claim_port(chosen) as claimed:
        host, port = claimed.getsockname()[:2]
    bound = chosen.model_copy(update={"host": host, "port": port})
    settings.hand_on(bound)
    where = url_of(chosen, port) + PATH
    told = json.dumps({"url": where, "pid": os.getpid()}) if as_json else f"Agents find {where}"
    typer.echo(told)
    sys.stdout.flush()
    server(APPLICATION, bound).serve()


def application() -> Any:
    """What the server's process imports and calls."""
    from milepost.mcp.http_door import HttpDoor

    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        drain_when_orphaned(parent.pid)
    chosen = settings.load()
    observe.configure("mcp", level=chosen.log_level)
    return HttpDoor(chosen.api_url, chosen)
