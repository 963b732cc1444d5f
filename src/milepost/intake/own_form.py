"""Pushes in Milepost's own form, for carriers that have none we know: parcels with their events.

An event has the shape of those that a merchant tells of a parcel (``POST /parcels/{id}/events``),
and is read as a row of a file is: by the carrier's rules, else by our own words beside its code.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from milepost.carriers.answer_tree import Tree, read_json
from milepost.carriers.connector import Found
from milepost.carriers.file_form import WORDS
from milepost.carriers.push import OWN_FORM
from milepost.errors import CarrierParseError
from milepost.intake.told_rows import Sender, Telling, one_telling, read_telling

MOST_PARCELS = 500
MOST_EVENTS = 100
"""Of one parcel in one payload."""
_EVENT = ("code", "text", *WORDS)
_PLACE = (
    "city",
    "postal_code",
    "country_code",
    "street",
    "house_number",
    "depot",
    "service_point_id",
)
_PARCEL = ("tracking_number", "expected_delivery_date", "signed_by")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a payload says, by number; ``problem`` is the first of what in it can't be read."""

    told: tuple[tuple[str, Found], ...]
    problem: str = ""


def read_own_form(sender: Sender, body: bytes) -> Pushed:
    """What can be read of ``body``: one parcel, or ``parcels``. What can't costs itself alone.

    Raises CarrierParseError where nothing of it has the form.
    """
    document = read_json(body)
    several = document.child("parcels").value is not None
    parcels = list(document.items("parcels", at_most=MOST_PARCELS)) if several else [document]
    told: list[tuple[str, Found]] = []
    problems: list[str] = []
    for parcel in parcels:
        try:
            told.append(_parcel(sender, parcel, problems))
        except CarrierParseError as error:
            problems.append(str(error))
    if problems and not told:
        raise CarrierParseError(_all_of(problems))
    return Pushed(tuple(told), _all_of(problems))


def _parcel(sender: Sender, parcel: Tree, problems: list[str]) -> tuple[str, Found]:
    number = parcel.needed_text("tracking_number")
    tellings = list(_events(sender, parcel, problems))
    if not tellings:
        raise CarrierParseError(f"{parcel.child('events').path} tells nothing that can be read")
    return number, replace(one_telling(tellings), raw=parcel.as_json())


def _events(sender: Sender, parcel: Tree, problems: list[str]) -> Iterator[Telling]:
    shared = {name: parcel.text(name) for name in _PARCEL}
    for event in parcel.items("events", at_most=MOST_EVENTS):
        try:
            yield _event(sender, event, shared)
        except CarrierParseError as error:
            why = str(error)
            problems.append(why if why.startswith(event.path) else f"{event.path}: {why}")


def _event(sender: Sender, event: Tree, shared: dict[str, str]) -> Telling:
    if event.text("event_type") not in ("", "carrier"):
        raise CarrierParseError("event_type: a carrier tells its own events alone")
    values = shared | {name: event.text(name) for name in _EVENT}
    values |= {name: event.text("location", name) for name in _PLACE}
    values = {name: value for name, value in values.items() if value}
    if any(word in values for word in WORDS):
        # As where a merchant tells it: an exception may stand alone, and moves no parcel.
        values.setdefault("phase", "none")
    return read_telling(sender, values, event.needed_text("event_at"), fields=OWN_FORM)


def _all_of(problems: list[str]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return problems[0] + more if problems else ""
