"""Events a merchant tells us: of an own fleet, of the house, or of a claim. Read and judged here.

What comes out are observations like a carrier's: they take the same way into the timeline.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from milepost.api.problems import Problem
from milepost.api.v3_fields import (
    MOMENT_PATTERN,
    Amount,
    Currency,
    Schema,
    limited,
    read_moment,
)
from milepost.api.v3_models import refused_fields
from milepost.api.v3_parts import Part
from milepost.carriers import moments
from milepost.carriers.file_form import usual_type
from milepost.carriers.zones import zone_of
from milepost.errors import InvalidInput
from milepost.tracking.events import Observation, Place, Scan
from milepost.tracking.vocabulary import (
    EventType,
    ExceptionCode,
    Phase,
    Reading,
    StatusType,
    SubStatus,
)

MOST_EVENTS = 100
"""Events in one request."""
AHEAD = timedelta(days=1)
"""An event may be dated so far ahead of our clock: clocks differ, plans are no events."""
SOURCE = "own"
_TOLD = ("carrier", "internal", "claim")
_CLAIMS = ("claim", "claimable")


class OneOf:
    """A text that is one of these words; what refuses another one lists them."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = sorted(map(str, words))

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(self._words)


class Location(Part):
    """Where it happened."""

    city: Annotated[str, limited(255)] = ""
    country_code: Annotated[str, Field(pattern="^([A-Za-z]{2})?$")] = ""
    postal_code: Annotated[str, limited(32)] = ""
    street: Annotated[str, limited(255)] = ""
    house_number: Annotated[str, limited(32)] = ""
    depot: Annotated[str, limited(64)] = ""
    service_point_id: Annotated[str, limited(64)] = ""


class Money(Part):
    """How much a claim is about."""

    value: Amount
    currency: Currency


class OwnEvent(Part):
    """One event, in the words of the event vocabulary."""

    event_type: Annotated[str, OneOf(_TOLD)] = "carrier"
    event_at: Annotated[str, Field(pattern=MOMENT_PATTERN)]
    phase: Annotated[str, OneOf(Phase)] = "none"
    exception: Annotated[str, OneOf(ExceptionCode)] = "none"
    status_type: Annotated[str, OneOf(StatusType)] | None = None
    sub_status: Annotated[str, OneOf(SubStatus)] = "none"
    code: Annotated[str, limited(64)] = ""
    text: Annotated[str, limited(1000)] = ""
    location: Location = Location()
    amount: Money | None = None
    reference: Annotated[str, limited(255)] = ""

    @model_validator(mode="after")
    def _hangs_together(self) -> "OwnEvent":
        if self.event_type == "claim":
            if self.exception not in _CLAIMS:
                raise PydanticCustomError(
                    "claim_exception", "The exception of a claim is claim or claimable"
                )
        elif self.amount is not None or self.reference:
            raise PydanticCustomError("claim_only", "Only a claim has an amount and a reference")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Schema:
        schema = handler.resolve_ref_schema(handler(core))
        schema["anyOf"] = [
            {
                "properties": {
                    "event_type": {"const": "claim"},
                    "exception": {"enum": list(_CLAIMS)},
                },
                "required": ["event_type", "exception"],
            },
            {
                "properties": {
                    "event_type": {"enum": ["carrier", "internal"]},
                    "amount": {"type": "null"},
                    "reference": {"const": ""},
                }
            },
        ]
        return schema


class OwnEvents(Part):
    """Up to a hundred events of one parcel."""

    events: Annotated[list[OwnEvent], Field(min_length=1, max_length=MOST_EVENTS)]


def read_events(
    given: Any, carrier_code: str, home_zone: str, now: datetime
) -> list[Observation] | Problem:
    """What a client tells of a parcel, or a 422 that names every wrong field.

    A time without an offset is local time of the event's country, else of ``home_zone``. Raises
    InvalidInput for a time ahead of ours.
    """
    try:
        told = OwnEvents.model_validate(given)
    except ValidationError as refused:
        return refused_fields(refused, given)
    scans = [(one, _scan(one, place, home_zone, now)) for place, one in enumerate(told.events)]
    # What is not the carrier's word is told under no carrier's name.
    spoken = [scan for event, scan in scans if event.event_type == "carrier"]
    others = [scan for event, scan in scans if event.event_type != "carrier"]
    return [
        Observation(code, SOURCE, now, tuple(scans))
        for code, scans in ((carrier_code, spoken), ("", others))
        if scans
    ]


def _scan(event: OwnEvent, place: int, home_zone: str, now: datetime) -> Scan:
    located = event.location
    country = located.country_code.upper()
    if read_moment(event.event_at) > now + AHEAD:
        field = ("body", "events", place, "event_at")
        raise InvalidInput("An event has happened already", field, "in_the_future")
    zone = zone_of(country, located.postal_code, home_zone)
    moment = moments.read_moment(_plain(event.event_at), zone, home_zone)
    fields = {"reference": event.reference} if event.reference else {}
    if event.amount is not None:
        fields |= {"amount": event.amount.value, "currency": event.amount.currency}
    exception = ExceptionCode(event.exception)
    reading = Reading(
        Phase(event.phase),
        exception,
        StatusType(event.status_type or usual_type(exception)),
        SubStatus(event.sub_status),
    )
    code = event.code or ":".join(
        part for part in (event.phase, event.exception, event.sub_status) if part != "none"
    )
    return Scan(
        scan_class=f"{SOURCE} {code or event.event_type} {event.reference}".rstrip(),
        raw_code=code,
        raw_text=event.text,
        moment=moment,
        reading=reading,
        place=Place(
            city=located.city,
            country_code=country,
            postal_code=located.postal_code,
            street=located.street,
            house_number=located.house_number,
            depot=located.depot,
            service_point_id=located.service_point_id,
        ),
        position=place,
        raw_fields=fields,
        event_type=EventType(event.event_type),
    )


def _plain(stated: str) -> str:
    """Every spelling we take in the one that carriers' times are read from."""
    if len(stated) <= len("2026-01-01"):
        return stated
    return datetime.fromisoformat(stated.upper()).isoformat().replace("+00:00", "Z")
