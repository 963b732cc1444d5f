"""``POST /api/milepost/v1/recognise``: whose number this is, with every candidate and why."""

import re
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from milepost.api.authentication import RECOGNISE, current_caller
from milepost.api.bodies import Refused
from milepost.api.problems import FieldProblem, invalid
from milepost.api.v3_parcel_tracking import json_of
from milepost.carriers.recognise import Candidate, Recognition
from milepost.carriers.registry import Catalogue
from milepost.carriers.scanned import MOST

router = APIRouter()
_COUNTRY = re.compile("[A-Za-z]{2}")
_FIELDS = ("number", "to_country", "from_country")


@dataclass(frozen=True, slots=True)
class _Asked:
    number: str
    destination: str
    origin: str


@router.post(RECOGNISE, include_in_schema=False)
async def recognise(request: Request) -> Response:
    """Every carrier the number may be of; nothing is asked, registered or kept."""
    asked = _asked(await json_of(request))
    core = request.app.state.parts.core
    told = await core.recognitions.of(
        current_caller(request).account_id,
        asked.number,
        origin=asked.origin,
        destination=asked.destination,
    )
    body = orjson.dumps(recognition_document(told, core.catalogue))
    headers = {"cache-control": "private, no-store"}
    return Response(body, media_type="application/json", headers=headers)


def recognition_document(told: Recognition, catalogue: Catalogue) -> dict[str, Any]:
    """A recognition as it is told. ``best`` is the code that is taken where nobody is asked."""
    best = told.best
    return {
        "best": best.carrier_code if best else None,
        "candidates": [candidate_document(one, catalogue) for one in told.candidates],
        "unknown_probability": round(told.unknown, 4),
        "postal_code": told.postal_code or None,
        "country": told.country or None,
    }


def candidate_document(one: Candidate, catalogue: Catalogue) -> dict[str, Any]:
    """One candidate."""
    carrier = catalogue.get(one.carrier_code)
    return {
        "carrier_code": one.carrier_code,
        "carrier_name": one.carrier_name,
        "tracking_number": one.number,
        "probability": one.probability,
        "check_digit": {"verdict": one.check, "name": one.check_name or None},
        "reasons": list(one.reasons),
        "is_asked": carrier is not None and carrier.can_be_asked,
    }


def country_of(given: Any) -> str:
    """Two letters in upper case, ``""`` for anything else."""
    if not isinstance(given, str) or not _COUNTRY.fullmatch(given):
        return ""
    code = given.upper()
    # What people write, and what ISO 3166 has.
    return "GB" if code == "UK" else code


def _asked(given: Any) -> _Asked:
    """What the body asks. Raises Refused with every field that is wrong."""
    if not isinstance(given, dict):
        raise Refused(invalid(FieldProblem(("body",), "Input should be an object", "dict_type")))
    wrong = [
        FieldProblem(("body", name), "Unknown field", "unknown")
        for name in given
        if name not in _FIELDS
    ]
    number = given.get("number")
    if not isinstance(number, str) or not number:
        kind = "missing" if number in (None, "") else "string_type"
        wrong.append(FieldProblem(("body", "number"), "A number as text is required", kind))
    elif len(number) > MOST:
        why = f"At most {MOST} characters"
        wrong.append(FieldProblem(("body", "number"), why, "string_too_long"))
    for name in ("to_country", "from_country"):
        if given.get(name) not in (None, "") and not country_of(given[name]):
            why = "Two letters as ISO 3166 has them"
            wrong.append(FieldProblem(("body", name), why, "country_code"))
    if wrong:
        raise Refused(invalid(*wrong))
    places = (country_of(given.get(name)) for name in ("to_country", "from_country"))
    return _Asked(str(number), *places)
