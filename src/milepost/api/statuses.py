"""The published lists of statuses, v2 and v3, and v3's second path that only its docs know."""

from fastapi import APIRouter, Response

from milepost.wire.statuses import v2_list, v3_list

router = APIRouter()
_V2, _V3 = v2_list(), v3_list()


@router.get("/api/v2/parcels/statuses", include_in_schema=False)
async def v2_statuses() -> Response:
    """Ids and messages."""
    return Response(_V2, media_type="application/json")


@router.get("/api/v3/parcels/statuses", include_in_schema=False)
@router.get("/api/v3/parcel-statuses", include_in_schema=False)
async def v3_statuses() -> Response:
    """Codes and messages."""
    return Response(_V3, media_type="application/json")
