"""What a request was for, as one of few names: for metrics, access log and traces."""

from milepost.api.authentication import Scope
from milepost.api.health import PATHS
from milepost.api.hot_reads import V2_PREFIX, V3_PREFIX

V3_TEMPLATE = "/api/v3/parcels/tracking/{tracking_number}"
V2_TEMPLATE = "/api/v2/tracking/{tracking_number}"
UNMATCHED = "unmatched"


def template_of(scope: Scope) -> str:
    """The template of the route that answered, whatever was asked for; ``unmatched`` for none."""
    raw: bytes = scope["raw_path"]
    if raw.startswith(V3_PREFIX):
        return V3_TEMPLATE
    if raw.startswith(V2_PREFIX):
        return V2_TEMPLATE
    found = getattr(scope.get("route"), "path", None)
    if isinstance(found, str):
        return found
    path: str = scope["path"]
    return path if path in PATHS else UNMATCHED
