"""Who may open connections, and to where: whatever a customer names goes through egress."""

import ast

import pytest
from tests.sql_reading import SOURCE

DIALS = {
    "egress": "what customers name",
    "carriers/fetcher.py": "what manifests and the operator's routes name",
    "notifications/mail_client.py": "the operator's mail server",
    "mcp/api_client.py": "our own API",
    "cli/demo_parcels.py": "our own API",
    "cli/run.py": "our own API",
}
MODULES = {
    *("requests", "httpx", "httpx2", "urllib.request", "urllib3", "http.client"),
    *("smtplib", "aiosmtplib"),
}
CALLS = {"ClientSession", "TCPConnector", "open_connection", "create_connection", "sock_connect"}


def dials(source: str) -> bool:
    """Whether a module imports an HTTP client or names what opens a connection."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) if MODULES & {one.name for one in names}:
                return True
            case ast.ImportFrom(module=str(module), names=names):
                told = {one.name for one in names}
                if MODULES & {module, *(f"{module}.{one}" for one in told)} or CALLS & told:
                    return True
            case ast.Attribute(attr=attr) if attr in CALLS:
                return True
    return False


def test_only_known_places_open_connections() -> None:
    dialling = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if dials(path.read_text())
    }
    known = {one for one in dialling if one in DIALS or one.split("/")[0] in DIALS}
    assert dialling - known == set()
    # And none is listed that does not.
    assert DIALS.keys() - known - {one.split("/")[0] for one in known} == set()


@pytest.mark.parametrize(
    "source",
    [
        "import urllib.request",
        "from urllib import request",
        "from http.client import HTTPConnection",
        "import httpx as other",
        "from aiohttp import ClientSession",
        "aiohttp.ClientSession()",
        "await asyncio.open_connection('a', 1)",
        "socket.create_connection(('a', 1))",
        "from aiosmtplib import send",
    ],
)
def test_another_way_out_is_noticed(source: str) -> None:
    assert dials(source)
    assert not dials("from aiohttp import web\nrequest.fetch('http://a')")
