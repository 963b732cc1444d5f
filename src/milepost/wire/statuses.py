"""The two published lists of statuses, in their recorded order."""

import orjson

from milepost.tracking.status import v2_statuses, v3_statuses


def v2_list() -> bytes:
    """``GET /api/v2/parcels/statuses``: a bare array of ids and messages."""
    return orjson.dumps([{"id": one.v2_id, "message": one.message} for one in v2_statuses()])


def v3_list() -> bytes:
    """``GET /api/v3/parcels/statuses``: codes and messages under ``data``."""
    return orjson.dumps(
        {"data": [{"code": one.code, "message": one.message} for one in v3_statuses()]}
    )
