"""Our own parcels in the OpenAPI document: the document itself, lists, explanations, usage."""

from typing import Any, get_args

from milepost.api.milepost_schemas import REFUSALS
from milepost.api.parcel_filters import PARAMETERS
from milepost.api.v3_schemas import (
    ADDRESS,
    LOCATION,
    MOMENT,
    SHIP_WITH,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    closed,
    listed,
    one_of_words,
)
from milepost.carriers.connector import NumberKind
from milepost.parcels.usage import MOST_DAYS
from milepost.tracking.events import Precision, ZoneSource
from milepost.tracking.journey import Verdict
from milepost.tracking.parcel import MonitoringState
from milepost.tracking.status import STATUSES, Rule
from milepost.tracking.vocabulary import EventType, ExceptionCode, Phase, StatusType, SubStatus
from milepost.wire.own import Freshness

_WHOLE: Schema = {"type": "integer"}
_ANY: Schema = {"type": ["object", "null"]}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [{"type": "null"}, schema]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_MOMENT_OR_NULL = _or_null(MOMENT)
_READING: Schema = {
    "phase": one_of_words(Phase),
    "exception": one_of_words(ExceptionCode),
    "status_type": one_of_words(StatusType),
    "sub_status": one_of_words(SubStatus),
}
_STATUS = closed(
    {
        "code": one_of_words(STATUSES),
        "parent_status": TEXT,
        **_READING,
        "description": TEXT,
        "at": MOMENT,
    }
)
_EVENT = closed(
    {
        "event_id": TEXT,
        "event_at": MOMENT,
        "event_type": one_of_words(EventType),
        "status": one_of_words(STATUSES),
        "parent_status": TEXT,
        **_READING,
        "description": TEXT,
        "leg": _WHOLE,
        "carrier_code": TEXT_OR_NULL,
        "raw_code": TEXT,
        "raw_text": TEXT,
        "precision": one_of_words(Precision),
        "stated_at": TEXT,
        "location": LOCATION,
        "recorded_at": _MOMENT_OR_NULL,
    }
)
_EXPECTED = closed(
    {
        "source": one_of_words(("carrier", "sender", "milepost")),
        "day": TEXT_OR_NULL,
        "earliest": _MOMENT_OR_NULL,
        "latest": _MOMENT_OR_NULL,
    }
)
_EXTRA = closed(
    {},
    {
        "signed_by": TEXT,
        "service": TEXT,
        "related_numbers": listed(
            closed({"number": TEXT, "kind": one_of_words(get_args(NumberKind)), "carrier": TEXT})
        ),
        "service_point": closed(
            {
                **dict.fromkeys(("id", "name", "street", "house_number"), TEXT),
                **dict.fromkeys(("postal_code", "city", "country_code"), TEXT),
                "opening_hours": listed(TEXT),
            }
        ),
        "held_until": MOMENT,
        "proofs_of_delivery": listed(closed({"url": TEXT, "reference": TEXT})),
    },
)
_PARCEL = closed(
    {
        "parcel_id": TEXT,
        "carrier_code": TEXT,
        "tracking_number": TEXT,
        "tracking_identifier": TEXT_OR_NULL,
        "tracking_url": TEXT_OR_NULL,
        "source_id": TEXT,
        "status": _STATUS,
        "monitoring": closed({"state": one_of_words(MonitoringState), "reason": TEXT}),
        "last_checked_at": _MOMENT_OR_NULL,
        "next_check_at": _MOMENT_OR_NULL,
        "freshness": closed(
            {"state": one_of_words(Freshness), "age_seconds": {"type": ["integer", "null"]}}
        ),
        "expected_delivery": _or_null(_EXPECTED),
        "announced_at": MOMENT,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "first_scan_at": _MOMENT_OR_NULL,
        "last_scan_at": _MOMENT_OR_NULL,
        "ended_at": _MOMENT_OR_NULL,
        "warnings": listed(closed({"code": TEXT, "message": TEXT})),
        "carrier_extra": _EXTRA,
        "from_address": ADDRESS,
        "to_address": ADDRESS,
        "ship_with": SHIP_WITH,
        "details": _ANY,
        "parcel_items": _or_null(listed({"type": "object"})),
        "insurance": _ANY,
        "measurements": _ANY,
        "return_price": _ANY,
        "shipment": _ANY,
    },
    {"events": listed(_ref("Event"))},
)
_TELLING: Schema = {
    "reading": closed(_READING),
    "raw_code": TEXT,
    "raw_text": TEXT,
    "raw_fields": {"type": "object", "additionalProperties": TEXT},
    "mapping_version": _WHOLE,
    "source": TEXT,
    "told_at": MOMENT,
    "stated_at": TEXT,
    "time_zone": TEXT,
    "time_zone_source": one_of_words(ZoneSource),
}
_VERDICT: Schema = {"verdict": one_of_words(Verdict), "reason": TEXT}
_JUDGED = closed(
    {
        "event_id": TEXT,
        "event_type": one_of_words(EventType),
        "event_at": MOMENT,
        "leg": _WHOLE,
        "ignored": {"type": "boolean"},
        **_VERDICT,
        "shown": _or_null(closed({"status": one_of_words(STATUSES), **_READING})),
        **_TELLING,
        "scan_class": TEXT,
        "recorded_at": _MOMENT_OR_NULL,
        "withdrawn_at": _MOMENT_OR_NULL,
        "seen": listed(closed({"source": TEXT, "first_seen": MOMENT, "last_seen": MOMENT})),
        "earlier_tellings": listed(closed(_TELLING)),
        "replaced": listed(closed({"event_at": MOMENT, **_TELLING})),
    }
)
_EXPLANATION = closed(
    {
        "parcel_id": TEXT,
        "carrier_code": TEXT,
        "tracking_number": TEXT,
        "status": _STATUS,
        "status_rule": closed({"code": one_of_words(Rule), "text": TEXT}),
        "decided_by": _or_null(
            closed({"event_id": TEXT, "event_at": MOMENT, **_VERDICT, **_TELLING})
        ),
        "events": listed(_JUDGED),
    }
)
_OPTION = closed(
    {"shipping_option_code": TEXT, "carrier_code": TEXT, "parcels": _WHOLE, "last_used_at": MOMENT}
)
_NUMBER_OR_NULL: Schema = {"type": ["integer", "null"]}
_BUDGET = closed(
    dict.fromkeys(("per_minute", "per_second", "remaining", "reset_seconds"), _NUMBER_OR_NULL)
)
_DAY: Schema = {"type": "string", "format": "date"}
_USAGE = closed(
    {
        "from": _DAY,
        "to": _DAY,
        "registered": closed(
            {
                "parcels": _WHOLE,
                "days": listed(closed({"day": _DAY, "carrier_code": TEXT, "parcels": _WHOLE})),
            }
        ),
        "checked": closed(
            {
                "checks": _WHOLE,
                "days": listed(closed({"day": _DAY, "carrier_code": TEXT, "checks": _WHOLE})),
            }
        ),
        "watched": closed(
            {
                "parcels": _WHOLE,
                "carriers": listed(closed({"carrier_code": TEXT, "parcels": _WHOLE})),
            }
        ),
        "budgets": closed({"reads": _BUDGET, "writes": _BUDGET}),
    }
)
_PAGE = closed({"data": listed(_ref("Parcel")), "next_cursor": TEXT_OR_NULL})
COMPONENTS: Schema = {"Parcel": _PARCEL, "Event": _EVENT, "Explanation": _EXPLANATION}

PARCEL_ID: Schema = {
    "name": "parcel_id",
    "in": "path",
    "required": True,
    "description": "As a list or a registration gives it.",
    "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
}
_NOT_FOUND: Schema = {
    "404": {
        "description": "No such parcel in this account",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
}
_LINK: Schema = {
    "Link": {"description": 'The next page: `<...>; rel="next"`', "schema": {"type": "string"}}
}


def reading(summary: str, answer: Schema, *parameters: Schema, **more: Any) -> Schema:
    """A GET of ours that answers 200 with a JSON document."""
    done = {"description": "OK", "content": {"application/json": {"schema": answer}}}
    if "headers" in more:
        done["headers"] = more["headers"]
    return {
        "get": {
            "tags": [more.get("tag", "Parcels")],
            "summary": summary,
            "parameters": list(parameters),
            "responses": {
                "200": done,
                **REFUSALS,
                **more.get("refusals", {}),
                "429": {"description": "Over the account's budget; empty, with Retry-After"},
            },
        }
    }


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


PATHS: Schema = {
    "/api/milepost/v1/parcels": reading(
        "List and search parcels",
        _PAGE,
        *(_query(name, one.schema, one.description) for name, one in PARAMETERS.items()),
        headers=_LINK,
    ),
    "/api/milepost/v1/parcels/{parcel_id}": reading(
        "A parcel with its request, its status, its events and how it is watched",
        _ref("Parcel"),
        PARCEL_ID,
        refusals=_NOT_FOUND,
    ),
    "/api/milepost/v1/parcels/{parcel_id}/explain": reading(
        "Why a parcel has its status, and what was made of every event",
        _ref("Explanation"),
        PARCEL_ID,
        refusals=_NOT_FOUND,
    ),
    "/api/milepost/v1/shipping-options": reading(
        "The shipping options the account has registered parcels with, last used first",
        closed({"data": listed(_OPTION)}),
    ),
    "/api/milepost/v1/usage": reading(
        "What the account registered, what carriers were asked, what is watched, and budgets",
        _USAGE,
        _query(
            "days",
            {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": 30},
            "How many UTC days back, today included.",
        ),
    ),
}
