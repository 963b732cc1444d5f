"""What subscribers are sent, in our OpenAPI document: strict out, and published by itself."""

from milepost.api.v3_schemas import (
    LOCATION,
    MOMENT,
    TEXT,
    Schema,
    closed,
    listed,
    one_of_words,
)
from milepost.tracking.vocabulary import EventType, ExceptionCode, Phase, StatusType, SubStatus
from milepost.wire.classic import INTEGRATION_ACTIONS, STATUS_CHANGED, TEST
from milepost.wire.v3_event import CREATED

_FLAG: Schema = {"type": "boolean"}
_MILLISECONDS: Schema = {"type": "integer", "description": "Milliseconds since 1970"}
_EXTRA_DATA: Schema = {
    "anyOf": [
        {"type": "null"},
        closed({}, {"event_code": TEXT, "event_text": TEXT, "pickup_until": MOMENT}),
    ]
}
PARCEL_EVENT = closed(
    {
        "parcel": closed(
            {
                "parcel_id": {"type": "integer"},
                "tracking_number": TEXT,
                "carrier_code": TEXT,
                "announced_at": MOMENT,
            }
        ),
        "event": closed(
            {
                "event_type": one_of_words(EventType),
                "timestamp": MOMENT,
                "phase": one_of_words(Phase),
                "exception": one_of_words(ExceptionCode),
                "status_type": one_of_words(StatusType),
                "sub_status": one_of_words(SubStatus),
                "description": TEXT,
                "end_of_tracking": _FLAG,
                "is_offered": _FLAG,
                "is_carrier_responsible": {"type": "null"},
                "is_returned": _FLAG,
                "location_details": LOCATION,
                "extra_data": _EXTRA_DATA,
            }
        ),
    }
)
_MOMENT_OR_NULL: Schema = {**MOMENT, "type": ["string", "null"]}
INTEGRATION = closed(
    {
        "id": {"type": "integer", "minimum": 1},
        "shop_name": TEXT,
        "shop_url": TEXT,
        "system": TEXT,
        "failing_since": _MOMENT_OR_NULL,
        "last_fetch": _MOMENT_OR_NULL,
        "last_updated_at": _MOMENT_OR_NULL,
        "service_point_enabled": _FLAG,
        "service_point_carriers": listed(TEXT),
        "webhook_active": _FLAG,
        "webhook_url": TEXT,
    }
)
COMPONENTS: Schema = {"ParcelEvent": PARCEL_EVENT, "WebhookIntegration": INTEGRATION}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


EVENT_CREATED = closed({"event_type": {"const": CREATED}, "data": _ref("ParcelEvent")})
CLOUD_EVENT = closed(
    {
        "specversion": {"const": "1.0"},
        "id": TEXT,
        "source": {"type": "string", "format": "uri-reference"},
        "type": TEXT,
        "subject": TEXT,
        "time": MOMENT,
        "datacontenttype": {"const": "application/json"},
        "data": _ref("ParcelEvent"),
    },
    {"dataschema": {"type": "string", "format": "uri"}},
)
PARCEL_STATUS_CHANGED = closed(
    {
        "action": {"const": STATUS_CHANGED},
        "timestamp": _MILLISECONDS,
        "carrier_status_change_timestamp": {**_MILLISECONDS, "type": ["integer", "null"]},
        "parcel": _ref("V2Parcel"),
    }
)
INTEGRATION_CHANGED = closed(
    {
        "action": {"type": "string", "enum": list(INTEGRATION_ACTIONS)},
        "timestamp": _MILLISECONDS,
        "integration": _ref("WebhookIntegration"),
    }
)
WEBHOOK_TEST = closed({"action": {"const": TEST}, "timestamp": _MILLISECONDS})


def _sent(summary: str, **bodies: Schema) -> Schema:
    content = {name.replace("_", "/"): {"schema": schema} for name, schema in bodies.items()}
    return {
        "post": {
            "tags": ["Webhooks"],
            "summary": summary,
            "security": [],
            "requestBody": {"required": True, "content": content},
            "responses": {"2XX": {"description": "It has arrived"}},
        }
    }


WEBHOOKS: Schema = {
    CREATED: _sent(
        "Something happened to a parcel",
        **{"application_json": EVENT_CREATED, "application_cloudevents+json": CLOUD_EVENT},
    ),
    STATUS_CHANGED: _sent("A parcel has another status", application_json=PARCEL_STATUS_CHANGED),
    "integration_changed": _sent(
        "An integration was made, changed or deleted", application_json=INTEGRATION_CHANGED
    ),
    TEST: _sent("Somebody tries whether it arrives", application_json=WEBHOOK_TEST),
}
