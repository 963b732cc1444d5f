"""What a carrier says beside its scans, as it is kept in ``parcel.extra``. Pure.

It may be personal (who signed, where the recipient fetches things), and is erased with the parcel.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from milepost.carriers.connector import Found, ProofOfDelivery, ServicePoint
from milepost.tracking.telling import storable
from milepost.wire.moments import v3_moment

_LINKS = ("https://", "http://")


def extra_of(found: Found) -> dict[str, Any]:
    """All that was said, without what is empty: silence takes nothing back."""
    proofs = [_proof(one) for one in found.proofs_of_delivery]
    held = found.held_until
    said = {
        "signed_by": found.signed_by,
        "service": found.service,
        "related_numbers": [asdict(one) for one in found.related_numbers],
        "service_point": _service_point(found.service_point),
        "held_until": v3_moment(held) if held else "",
        "proofs_of_delivery": [proof for proof in proofs if any(proof.values())],
    }
    return {name: _storable(value) for name, value in said.items() if value}


def held_until(extra: Mapping[str, Any]) -> datetime | None:
    """Until when the parcel waits to be fetched (UTC), by the carrier's word."""
    held = extra.get("held_until")
    return datetime.fromisoformat(held) if held else None


def _storable(said: Any) -> Any:
    """Carriers' texts may hold what no database does; the scans beside are not lost for that."""
    match said:
        case str():
            return storable(said)
        case list() | tuple():
            return [_storable(one) for one in said]
        case dict():
            return {name: _storable(one) for name, one in said.items()}
    return said


def _service_point(point: ServicePoint) -> dict[str, Any] | None:
    if point == ServicePoint():
        return None
    place = point.place
    return {
        "id": place.service_point_id,
        "name": point.name,
        "street": place.street,
        "house_number": place.house_number,
        "postal_code": place.postal_code,
        "city": place.city,
        "country_code": place.country_code,
        "opening_hours": list(point.opening_hours),
    }


def _proof(proof: ProofOfDelivery) -> dict[str, str]:
    # Somebody will offer it as a link, and the carrier's text may be anything.
    is_link = proof.url.lower().startswith(_LINKS)
    return {"url": proof.url if is_link else "", "reference": proof.reference}
