"""Requests to a shop that failed, as the integrations calls list them. Pure.

Sendcloud lists there what its webhooks did not get through, and what else it asks of shops: of ours
there are webhooks alone. Its form is that of its v3 integrations document; v2's has fewer names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """A webhook that did not arrive. ``status`` is None where no answer came; ``payload`` where it
    is forgotten. ``url`` is the integration's of today."""

    integration_id: int
    delivery_id: int
    attempt: int
    started_at: datetime
    url: str
    outcome: str
    error: str
    status: int | None
    headers: Mapping[str, str]
    answer: bytes
    payload: bytes | None


def v2_exception_log(failed: FailedRequest) -> dict[str, Any]:
    """As v2 lists it. Its id is the moment in microseconds: an attempt has none of its own."""
    return {
        "id": round(failed.started_at.timestamp() * 1_000_000),
        "integration_id": failed.integration_id,
        "base_url": _base(failed.url),
        "full_url": failed.url or None,
        "method": "POST",
        "response_code": failed.status,
        "response": _response(failed),
        "request": {"headers": dict(failed.headers), "payload": _payload(failed.payload)},
        "created_at": cursor_of(failed.started_at),
        "exception_type": failed.outcome,
        "exception": failed.error,
        "protected": False,
    }


def v3_exception_log(failed: FailedRequest) -> dict[str, Any]:
    """As v3 lists it; ``additional_data`` names the delivery in our own log."""
    named = {"delivery_id": str(failed.delivery_id), "attempt": failed.attempt}
    return v2_exception_log(failed) | {"additional_data": named}


def cursor_of(moment: datetime) -> str:
    """A moment to the microsecond: pages go on behind it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _base(url: str) -> str:
    scheme, _, rest = url.partition("://")
    # Never empty, as published: an integration may have lost its address since.
    return f"{scheme}://{rest.partition('/')[0]}" if rest else "-"


def _response(failed: FailedRequest) -> dict[str, Any] | None:
    if failed.status is None:
        return None
    return {"headers": None, "body": failed.answer.decode("utf-8", "replace")}


def _payload(body: bytes | None) -> Any:
    return None if body is None else orjson.loads(body)
