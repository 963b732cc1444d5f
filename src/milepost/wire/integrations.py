"""Integrations in the answers of the published calls. Pure.

An address that there is none of is null here; webhooks, whose schema knows no null, say ``""``.
"""

from datetime import datetime
from typing import Any

from milepost.wire.classic import Integration, integration_object
from milepost.wire.moments import v3_moment

_SETTINGS = (
    "shop_name",
    "shop_url",
    "last_updated_at",
    "service_point_enabled",
    "service_point_carriers",
    "webhook_active",
    "webhook_url",
)


def v2_integration(integration: Integration) -> dict[str, Any]:
    """As v2 lists it."""
    document = integration_object(integration)
    absent = {name: None for name in ("shop_url", "webhook_url") if not document[name]}
    return document | absent


def v2_settings(integration: Integration) -> dict[str, Any]:
    """What v2 answers to a change: the part that can be set, and when that was."""
    document = v2_integration(integration)
    return {name: document[name] for name in _SETTINGS}


def v3_integration(
    integration: Integration, created_at: datetime, feedback_type: str
) -> dict[str, Any]:
    """As v3 lists it, where some names are others."""
    document = v2_integration(integration)
    return {
        "id": document["id"],
        "shop_name": document["shop_name"],
        "shop_url": document["shop_url"],
        "type": document["system"],
        "started_failing_at": document["failing_since"],
        "last_fetched_at": document["last_fetch"],
        "created_at": v3_moment(created_at),
        "updated_at": document["last_updated_at"],
        "service_point_enabled": document["service_point_enabled"],
        "service_point_carriers": document["service_point_carriers"],
        "webhook_active": document["webhook_active"],
        "webhook_url": document["webhook_url"],
        "feedback_type": feedback_type,
    }
