"""``/api/v2/integrations``: shops and their webhooks, as published. Sendcloud makes none by API."""

import orjson
from fastapi import APIRouter, Request, Response

from milepost.api.idempotent import Written
from milepost.api.integration_models import ShopChange, read
from milepost.api.integrations import changed, deleted, found, in_order, listed
from milepost.api.v3_parcel_tracking import json_of
from milepost.notifications.integrations import KeptIntegration
from milepost.wire.integrations import v2_integration, v2_settings

PATH = "/api/v2/integrations"
_COLUMNS = ("id", "shop_name", "system", "failing_since", "last_fetch", "last_updated_at")
ORDERINGS = {name: name for name in _COLUMNS}
router = APIRouter(prefix=PATH)


@router.get("", include_in_schema=False)
async def list_integrations(request: Request) -> Response:
    """All of them."""
    documents = [v2_integration(one.published) for one in await listed(request)]
    return _json(in_order(request, "ordering", ORDERINGS, documents))


@router.get("/{integration_id}", include_in_schema=False)
async def one_integration(request: Request, integration_id: str) -> Response:
    """One of them."""
    return _json(v2_integration((await found(request, integration_id)).published))


@router.put("/{integration_id}", include_in_schema=False)
@router.patch("/{integration_id}", include_in_schema=False)
async def change_integration(request: Request, integration_id: str) -> Response:
    """Set what is given. So does PUT, published to name all: Odoo names what it changes."""
    given = read(ShopChange, await json_of(request))
    return await changed(request, integration_id, given, _settings)


@router.delete("/{integration_id}", include_in_schema=False)
async def delete_integration(request: Request, integration_id: str) -> Response:
    """Delete it."""
    return await deleted(request, integration_id)


def _settings(kept: KeptIntegration) -> Written:
    return Written(orjson.dumps(v2_settings(kept.published)))


def _json(document: object) -> Response:
    headers = {"cache-control": "private, no-store"}
    return Response(orjson.dumps(document), media_type="application/json", headers=headers)
