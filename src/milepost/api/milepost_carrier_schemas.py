"""Carriers in the OpenAPI document."""

from typing import get_args

from milepost.api.milepost_parcel_schemas import reading
from milepost.api.v3_schemas import MOMENT, TEXT, TEXT_OR_NULL, Schema, closed, listed, one_of_words
from milepost.carriers.checksums import CHECKS
from milepost.carriers.registry import Quality
from milepost.carriers.status_rules import Confidence
from milepost.monitoring.health import SPANS
from milepost.parcels.carrier_hours import OUTCOMES
from milepost.tracking.vocabulary import ExceptionCode, Phase, StatusType, SubStatus

_YES_OR_NO: Schema = {"type": "boolean"}
_LIMIT: Schema = {"type": ["number", "null"]}
_SURE = one_of_words(get_args(Confidence))
_READING: Schema = {
    "phase": one_of_words(Phase),
    "exception": one_of_words(ExceptionCode),
    "status_type": one_of_words(StatusType),
    "sub_status": one_of_words(SubStatus),
}
_SUMMARY: Schema = {
    "code": TEXT,
    "name": TEXT,
    "countries": listed(TEXT),
    "confidence": _SURE,
    "quality": one_of_words(get_args(Quality)),
    "is_asked": _YES_OR_NO,
    "answered_by": TEXT_OR_NULL,
    "is_simulated": _YES_OR_NO,
    "live_since": {"anyOf": [{"type": "null"}, MOMENT]},
}
_LOGIN = closed(
    {
        "is_needed": _YES_OR_NO,
        "is_given": _YES_OR_NO,
        "fields": listed(
            closed({"name": TEXT, "label": TEXT, "secret": _YES_OR_NO, "required": _YES_OR_NO})
        ),
    }
)
_API = closed(
    {
        **dict.fromkeys(("base_url", "documentation", "protocol", "login", "terms"), TEXT),
        "confidence": _SURE,
    }
)
_STATUSES = closed(
    {
        "source": TEXT,
        "mapping_version": {"type": "integer"},
        "codes": listed(closed({"code": TEXT, **_READING, "confidence": _SURE})),
        "wordings": listed(closed({"id": TEXT, **_READING, "confidence": _SURE})),
    }
)
_CARRIER = closed(
    {
        **_SUMMARY,
        "note": TEXT,
        "home_zone": TEXT,
        "number_formats": listed(
            closed(
                {
                    "pattern": TEXT,
                    "check": {"anyOf": [{"type": "null"}, one_of_words(CHECKS)]},
                    "confidence": _SURE,
                }
            )
        ),
        "test_numbers": listed(TEXT),
        "tracking_pages": listed(
            closed({"url": TEXT, "countries": listed(TEXT), "confidence": _SURE})
        ),
        "login": _LOGIN,
        "quota": closed(
            {
                **dict.fromkeys(("per_second", "per_minute", "per_hour", "per_day"), _LIMIT),
                "confidence": _SURE,
            }
        ),
        "api": {"anyOf": [{"type": "null"}, _API]},
        "feeds": listed(
            closed({"kind": one_of_words(("push", "files")), "what": TEXT, "confidence": _SURE})
        ),
        "statuses": _STATUSES,
    }
)
_COUNT: Schema = {"type": "integer", "minimum": 0}
_RATE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_SECONDS: Schema = {"type": ["number", "null"], "minimum": 0}
_SPAN = closed(
    {
        "checks": _COUNT,
        "outcomes": closed(dict.fromkeys(OUTCOMES, _COUNT)),
        "success_rate": _RATE,
        "events": _COUNT,
        "unmapped": _COUNT,
        "unmapped_rate": _RATE,
        "lag_seconds": closed({"p50": _SECONDS, "p95": _SECONDS}),
    }
)
_HEALTH = closed(
    {
        "carrier_code": TEXT,
        "state": one_of_words(("asked", "paused", "open", "half_open")),
        "until": {"anyOf": [{"type": "null"}, MOMENT]},
        **dict.fromkeys(SPANS, _SPAN),
        "drift": listed(
            closed(
                {
                    "kind": one_of_words(("field", "missing", "language")),
                    "what": TEXT,
                    "seen": _COUNT,
                    "first_seen_at": MOMENT,
                    "last_seen_at": MOMENT,
                }
            )
        ),
    }
)
COMPONENTS: Schema = {
    "Carrier": _CARRIER,
    "CarrierSummary": closed(_SUMMARY),
    "CarrierHealth": _HEALTH,
}
_CODE: Schema = {
    "name": "code",
    "in": "path",
    "required": True,
    "description": "As the list gives it.",
    "schema": {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"},
}
_NOT_FOUND: Schema = {
    "404": {
        "description": "Not in the catalogue; parcels of it can be registered all the same",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
}
PATHS: Schema = {
    "/api/milepost/v1/carriers": reading(
        "The carriers Milepost knows, and what it can do with each",
        closed({"data": listed({"$ref": "#/components/schemas/CarrierSummary"})}),
        tag="Carriers",
    ),
    "/api/milepost/v1/carriers/{code}": reading(
        "A carrier: its numbers, pages and API, the login it takes, and what its codes mean",
        {"$ref": "#/components/schemas/Carrier"},
        _CODE,
        refusals=_NOT_FOUND,
        tag="Carriers",
    ),
    "/api/milepost/v1/carriers/{code}/health": reading(
        "How a carrier answers your checks, how late its scans are, and what in its answers is new",
        {"$ref": "#/components/schemas/CarrierHealth"},
        _CODE,
        refusals=_NOT_FOUND,
        tag="Carriers",
    ),
}
