"""``/api/v3/integrations``: the same as v2's under newer names, as published."""

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from milepost.api.idempotent import Written
from milepost.api.integration_models import ShopChange, read
from milepost.api.integrations import changed, deleted, found, in_order, listed
from milepost.api.v3_parcel_tracking import json_of
from milepost.notifications.integrations import KeptIntegration
from milepost.wire.integrations import v3_integration

PATH = "/api/v3/integrations"
SORTS = {
    "integration_type": "type",
    "created_at": "created_at",
    "updated_at": "updated_at",
    "last_fetch": "last_fetched_at",
    "failing_since": "started_failing_at",
}
router = APIRouter(prefix=PATH)


@router.get("", include_in_schema=False)
async def list_integrations(request: Request) -> Response:
    """All of them, the oldest first if nothing is said."""
    documents = [_document(one) for one in await listed(request)]
    return _json(in_order(request, "sort", SORTS, documents))


@router.get("/{integration_id}", include_in_schema=False)
async def one_integration(request: Request, integration_id: str) -> Response:
    """One of them."""
    return _json(_document(await found(request, integration_id)))


@router.patch("/{integration_id}", include_in_schema=False)
async def change_integration(request: Request, integration_id: str) -> Response:
    """Set what is given; nothing is answered."""
    given = read(ShopChange, await json_of(request))
    nothing = Written(b"", status=204)
    return await changed(request, integration_id, given, lambda _: nothing)


@router.delete("/{integration_id}", include_in_schema=False)
async def delete_integration(request: Request, integration_id: str) -> Response:
    """Delete it."""
    return await deleted(request, integration_id)


def _document(kept: KeptIntegration) -> dict[str, Any]:
    return v3_integration(kept.published, kept.created_at, kept.shop.feedback_type)


def _json(data: object) -> Response:
    headers = {"cache-control": "private, no-store"}
    return Response(orjson.dumps({"data": data}), media_type="application/json", headers=headers)
