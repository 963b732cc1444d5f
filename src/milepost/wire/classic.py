"""The bodies of classic integration webhooks: ``action``, ``timestamp``, and what it is about.

Timestamps are whole milliseconds since 1970, as in every published example; that they are said to
be unix timestamps is not what clients read. An old receiver verifies the ``Sendcloud-Signature``
over these bytes, see ``python_json``.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from milepost.tracking.explain import deciding
from milepost.tracking.journey import Journey
from milepost.tracking.parcel import TrackedParcel
from milepost.tracking.vocabulary import EventType
from milepost.wire.moments import v3_moment
from milepost.wire.python_json import dumped
from milepost.wire.v2_parcel import parcel_object

STATUS_CHANGED = "parcel_status_changed"
TEST = "test_webhook"
IntegrationAction = Literal["integration_connected", "integration_updated", "integration_deleted"]
INTEGRATION_ACTIONS: tuple[str, ...] = get_args(IntegrationAction)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Integration:
    """A shop as the integrations calls and webhooks describe it; times are UTC, None: never.

    ``system`` is its kind (``api``). ``failing_since`` is when its webhook began to fail,
    ``last_fetch`` when its orders were last fetched (we fetch none).
    """

    integration_id: int
    shop_name: str
    shop_url: str = ""
    system: str = "api"
    failing_since: datetime | None = None
    last_fetch: datetime | None = None
    last_updated_at: datetime | None = None
    service_point_enabled: bool = False
    service_point_carriers: tuple[str, ...] = ()
    webhook_active: bool = False
    webhook_url: str = ""


def parcel_status_changed(parcel: TrackedParcel, journey: Journey, changed_at: datetime) -> bytes:
    """A parcel has another status than the one told before.

    ``changed_at`` is when it changed here (``timestamp``). When it did at the carrier is the time
    of the scan that gave the status, null where none did: it was announced, or time has passed.
    """
    return dumped(
        {
            "action": STATUS_CHANGED,
            "timestamp": milliseconds(changed_at),
            "carrier_status_change_timestamp": _at_the_carrier(journey),
            "parcel": parcel_object(parcel, journey),
        }
    )


def integration_changed(
    action: IntegrationAction, integration: Integration, changed_at: datetime
) -> bytes:
    """An integration was made, changed or deleted ``changed_at``; it is told as it is (or was)."""
    return dumped(
        {
            "action": action,
            "timestamp": milliseconds(changed_at),
            "integration": integration_object(integration),
        }
    )


def webhook_test(sent_at: datetime) -> bytes:
    """What a test sends. Undocumented; clients know its action and read nothing else of it."""
    return dumped({"action": TEST, "timestamp": milliseconds(sent_at)})


def integration_object(integration: Integration) -> dict[str, Any]:
    """An integration in the published form."""
    return {
        "id": integration.integration_id,
        "shop_name": integration.shop_name,
        "shop_url": integration.shop_url,
        "system": integration.system,
        "failing_since": _moment(integration.failing_since),
        "last_fetch": _moment(integration.last_fetch),
        "last_updated_at": _moment(integration.last_updated_at),
        "service_point_enabled": integration.service_point_enabled,
        "service_point_carriers": list(integration.service_point_carriers),
        "webhook_active": integration.webhook_active,
        "webhook_url": integration.webhook_url,
    }


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970. Reckoned in integers: a float would round some of them."""
    return (moment - _EPOCH) // _MILLISECOND


def _at_the_carrier(journey: Journey) -> int | None:
    entry = deciding(journey)
    if entry is None or entry.event.event_type is not EventType.CARRIER:
        return None
    return milliseconds(entry.effective_at)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else v3_moment(moment)
