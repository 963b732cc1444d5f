"""Asking the Event Subscriptions API."""

import json
from typing import Any

from tests.api.fake_api import Answer, Client

ROOT = "/api/v3/event-subscriptions"
CONNECTIONS, SUBSCRIPTIONS = f"{ROOT}/connections", f"{ROOT}/subscriptions"
CANARY = "c4n4ry"
HOOK = {
    "url": "https://shop.example/hook",
    "auth_type": "bearer",
    "auth_config": {"token": f"{CANARY}-token"},
    "extra_headers": {"X-Shop": f"{CANARY}-header"},
}


async def patch(client: Client, path: str, document: object) -> Answer:
    return await client.ask("PATCH", path, json.dumps(document).encode())


async def connect(client: Client, **configuration: Any) -> int:
    made = await client.post(
        CONNECTIONS, {"type": "webhook", "configuration": HOOK | configuration}
    )
    assert made.status == 201, made.body
    return int(made.document["data"]["id"])


def of(connection_id: int) -> dict[str, object]:
    """A subscription that leads to a connection."""
    return {"connection_id": connection_id, "event_type": "parcels.event.created"}


async def subscribe(client: Client, connection_id: int, **more: Any) -> int:
    made = await client.post(SUBSCRIPTIONS, {**of(connection_id), **more})
    assert made.status == 201, made.body
    return int(made.document["data"]["id"])


def told(answer: Answer) -> list[tuple[str, str]]:
    """Where and with which code an answer refuses."""
    assert all(one["status"] == str(answer.status) for one in answer.document["errors"])
    return [
        (one["source"].get("pointer") or one["source"]["parameter"], one["code"])
        for one in answer.document["errors"]
    ]
