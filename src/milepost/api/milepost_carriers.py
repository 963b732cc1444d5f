"""``/api/milepost/v1/carriers``: whom Milepost knows, and how sure what it knows is."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from milepost.api.authentication import current_caller
from milepost.api.query_string import parameters
from milepost.carriers.registry import Carrier
from milepost.errors import InvalidInput, NotFoundError
from milepost.monitoring.health import document, health_for
from milepost.monitoring.live import live_since
from milepost.wire.moments import v3_moment

router = APIRouter(prefix="/api/milepost/v1/carriers")


@router.get("", include_in_schema=False)
async def list_of_carriers(request: Request) -> Response:
    """Every carrier of the catalogue, in short."""
    _takes_nothing(request)
    core = request.app.state.parts.core
    live = await live_since(core.pool)
    return _json({"data": [summary(one, live.get(one.manifest.code)) for one in core.catalogue]})


@router.get("/{code}", include_in_schema=False)
async def one_carrier(request: Request, code: str) -> Response:
    """A carrier with everything that is known of it, and whether the caller has a login."""
    _takes_nothing(request)
    core = request.app.state.parts.core
    carrier: Carrier | None = core.catalogue.get(code)
    if carrier is None:
        raise NotFoundError
    account_id = current_caller(request).account_id
    given = await core.credentials.has(account_id, carrier.asked.manifest.code)
    live = await live_since(core.pool)
    return _json(summary(carrier, live.get(code)) | details(carrier, login_given=given))


@router.get("/{code}/health", include_in_schema=False)
async def carrier_health(request: Request, code: str) -> Response:
    """How the carrier answers the caller's checks, and what its answers hold anew."""
    _takes_nothing(request)
    core = request.app.state.parts.core
    carrier: Carrier | None = core.catalogue.get(code)
    if carrier is None:
        raise NotFoundError
    account_id = current_caller(request).account_id
    own = await core.credentials.own_version(account_id, carrier.asked.manifest.code)
    now = datetime.now(UTC)
    health = await health_for(core.pool, carrier, account_id, now, own_login=own is not None)
    return _json(document(health, v3_moment))


def summary(carrier: Carrier, live: datetime | None) -> dict[str, Any]:
    """A carrier as it is listed. ``live`` is since when it has answered this installation."""
    manifest = carrier.manifest
    return {
        "code": manifest.code,
        "name": manifest.name,
        "countries": manifest.countries,
        "confidence": manifest.confidence,
        "quality": carrier.quality,
        "is_asked": carrier.can_be_asked,
        "answered_by": manifest.answered_by or None,
        "is_simulated": manifest.simulated,
        "live_since": None if live is None else v3_moment(live),
    }


def details(carrier: Carrier, *, login_given: bool) -> dict[str, Any]:
    """The rest. Of who answers for it: the login, the quota, the API and what codes mean."""
    manifest, asked = carrier.manifest, carrier.asked.manifest
    return {
        "note": manifest.note,
        "home_zone": manifest.home_zone,
        "number_formats": [
            {"pattern": one.pattern, "check": one.check or None, "confidence": one.confidence}
            for one in manifest.formats
        ],
        "test_numbers": manifest.test_numbers,
        "tracking_pages": [asdict(page) for page in manifest.tracking_pages],
        "login": {
            "is_needed": carrier.needs_credential,
            "is_given": login_given,
            # Not for a carrier that nobody asks: a form that leads nowhere.
            "fields": [asdict(one) for one in asked.credential] if carrier.can_be_asked else [],
        },
        "quota": asdict(asked.quota),
        "api": None if asked.api is None else asdict(asked.api),
        "feeds": [asdict(feed) for feed in manifest.feeds],
        "statuses": {
            "source": asked.status_source,
            "mapping_version": asked.mapping_version,
            "codes": [
                {"code": rule.raw, **_reading(rule.reading), "confidence": rule.confidence}
                for rule in asked.rules.status
            ],
            "wordings": [
                {"id": rule.id, **_reading(rule.reading), "confidence": rule.confidence}
                for rule in asked.rules.wording
            ],
        },
    }


def _reading(reading: Any) -> dict[str, str]:
    names = ("phase", "exception", "status_type", "sub_status")
    return {name: getattr(reading, name).value for name in names}


def _takes_nothing(request: Request) -> None:
    for name, _ in parameters(request.scope):
        raise InvalidInput("Unknown parameter; there is none", ("query", name), "unknown")


def _json(document: object) -> Response:
    headers = {"cache-control": "private, no-store"}
    return Response(orjson.dumps(document), media_type="application/json", headers=headers)
