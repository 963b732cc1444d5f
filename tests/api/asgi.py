"""Calling an ASGI app without a server."""

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def call(
    app: App,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
    client: str = "192.0.2.1",
    leaves: bool = False,
) -> Answer:
    """One request and its whole answer; a client that ``leaves`` never sends its body."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
        "client": (client, 5),
        "server": ("127.0.0.1", 80),
    }
    incoming = [] if leaves else [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    answered = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    whole = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(start["status"], answered, whole)
