"""Registrations of our own that name no carrier: the one that is clearly ahead is taken, if any.

The published registration requires a carrier code; ours, row by row, need none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from milepost.api.milepost_recognise import country_of
from milepost.api.problems import FieldProblem, Problem, invalid
from milepost.carriers.recognise import CLEARLY_AHEAD, Candidate
from milepost.carriers.scanned import MOST
from milepost.parcels.recognition import Recognitions
from milepost.tracking.parcel import number_key

UNCLEAR = "carrier_unclear"
_SHOWN = 5
_CODE = ("body", "tracking_number", "carrier_code")


@dataclass(frozen=True, slots=True)
class Named:
    """A registration with a carrier: its own, or the one that was ``recognised``.

    Where it is not clear whose number it is there is a ``problem``, with the ``candidates``.
    """

    document: Any
    recognised: Candidate | None = None
    candidates: tuple[Candidate, ...] = ()
    problem: Problem | None = None


async def with_carrier(given: Any, account_id: int, recognitions: Recognitions) -> Named:
    """``given`` with a carrier code, and with the number as its carrier has it.

    Who does not know the carrier need not know what the parcel was shipped with, either.

    What names a carrier, or no number, is left as it is: it is judged like any other.
    """
    scanned = _unnamed(given)
    if not scanned:
        return Named(given)
    told = await recognitions.of(
        account_id,
        scanned,
        origin=_country(given, "from_address"),
        destination=_country(given, "to_address"),
    )
    best = told.best
    if best is None:
        return Named(given, candidates=told.candidates, problem=_unclear(told.candidates))
    return Named(_completed(given, scanned, best), recognised=best)


def only_registered(carrier_code: str) -> dict[str, Any]:
    """``ship_with`` of a parcel of which no more is known than whose it is."""
    option = {"shipping_option_code": f"{carrier_code}:registered"}
    return {"type": "shipping_option_code", "properties": option}


def _unnamed(given: Any) -> str:
    """The number of a registration that names no carrier, ``""`` for every other."""
    if not isinstance(given, dict):
        return ""
    part = given.get("tracking_number")
    number, named = part, None
    if isinstance(part, dict):
        number = part.get("tracking_number") or part.get("tracking_identifier")
        named = part.get("carrier_code")
    named = named or given.get("carrier_code")
    if named not in (None, "") or not isinstance(number, str) or len(number) > MOST:
        return ""
    return number.strip()


def _country(given: Mapping[str, Any], side: str) -> str:
    address = given.get(side)
    return country_of(address.get("country_code")) if isinstance(address, dict) else ""


def _completed(given: Mapping[str, Any], scanned: str, best: Candidate) -> dict[str, Any]:
    part = given["tracking_number"]
    rest = part if isinstance(part, dict) else {}
    # As it was sent, unless what was sent is more than the number.
    number = scanned if number_key(scanned) == best.number else best.number
    named = {"carrier_code": best.carrier_code, "tracking_number": number}
    completed = {**given, "tracking_number": {**rest, **named}}
    if given.get("ship_with") is None:
        completed["ship_with"] = only_registered(best.carrier_code)
    return completed


def _unclear(candidates: tuple[Candidate, ...]) -> Problem:
    if not candidates:
        why = "Field required: no carrier is known to have numbers like this"
    else:
        shown = ", ".join(
            f"{one.carrier_code} {one.probability:.0%}" for one in candidates[:_SHOWN]
        )
        why = (
            f"Field required: no carrier is at least {CLEARLY_AHEAD:.0%} likely; it may be {shown}"
        )
    problem = invalid(FieldProblem(_CODE, why, UNCLEAR))
    return Problem(problem.status, UNCLEAR, problem.detail, problem.fields)
