"""The tools: each turns its arguments into requests to the API and the answers into a result."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from milepost.mcp.api_client import Api, Refusal, problem_text
from milepost.mcp.arguments import (
    Arguments,
    ListParcels,
    OneParcel,
    RecogniseNumber,
    RegisterParcel,
)
from milepost.tracking.parcel import number_key
from milepost.wire.own_schemas import definitions

PARCELS = "/api/milepost/v1/parcels"
BATCH = f"{PARCELS}/batch"
RECOGNISE = "/api/milepost/v1/recognise"
NUMBERS = "/api/v2/tracking"

Result = dict[str, Any]
_LEFT_OUT = {
    "type": "integer",
    "minimum": 0,
    "description": "Older events that were left out; ask with a greater `events`.",
}


@dataclass(frozen=True, slots=True)
class Asking:
    """The API, and the credentials of whoever calls the tool."""

    api: Api
    authorization: str

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """As ``Api.get``."""
        return await self.api.get(self.authorization, path, query)

    async def post(self, path: str, document: object) -> Any:
        """As ``Api.post``."""
        return await self.api.post(self.authorization, path, document)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: how it presents itself, what it takes, what it gives."""

    name: str
    title: str
    description: str
    takes: type[Arguments]
    gives: Result
    run: Callable[[Asking, Any], Awaitable[Result]]
    writes: bool = False


async def register_parcel(ask: Asking, wanted: RegisterParcel) -> Result:
    """Register a parcel, or find that this very one is registered already.

    A batch of one: unlike a single registration it answers with our own document, and names the
    parcel that holds the number already. It recognises a carrier that is not named, too. Raises
    Refusal.
    """
    answer = await ask.post(BATCH, [_registration(wanted, datetime.now(UTC))])
    (told,) = answer["results"] or [{"status": 0, "error": answer["error"]}]
    if told["status"] == 200:
        return {"new": True, "parcel": told["parcel"], **_recognised(told)}
    if told["status"] == 409 and told.get("parcel_id"):
        parcel = await ask.get(f"{PARCELS}/{told['parcel_id']}")
        if _same(parcel, wanted, told.get("recognised")):
            del parcel["events"]
            return {"new": False, "parcel": parcel, **_recognised(told)}
    raise Refusal(f"Not registered: {problem_text(told['error'])}", told["status"])


async def recognise_number(ask: Asking, wanted: RecogniseNumber) -> Result:
    """Whose number it is. Raises Refusal."""
    given = {"number": wanted.number}
    given |= {"to_country": wanted.to_country_code, "from_country": wanted.from_country_code}
    return {"recognition": await ask.post(RECOGNISE, given)}


async def track_parcel(ask: Asking, wanted: OneParcel) -> Result:
    """One parcel with its newest events. Raises Refusal."""
    parcel = await ask.get(f"{PARCELS}/{await _id_of(ask, wanted)}")
    return {"parcel": parcel, "events_left_out": _cut(parcel, wanted.events)}


async def explain_parcel(ask: Asking, wanted: OneParcel) -> Result:
    """Why a parcel has its status. Raises Refusal."""
    told = await ask.get(f"{PARCELS}/{await _id_of(ask, wanted)}/explain")
    return {"explanation": told, "events_left_out": _cut(told, wanted.events)}


async def list_parcels(ask: Asking, wanted: ListParcels) -> Result:
    """A page of parcels, without their events. Raises Refusal."""
    given = wanted.model_dump(mode="json", exclude_defaults=True)
    given["limit"] = wanted.limit
    if "query" in given:
        given["q"] = given.pop("query")
    page = await ask.get(PARCELS, {name: _in_a_query(value) for name, value in given.items()})
    return {"parcels": page["data"], "next_cursor": page["next_cursor"]}


def _registration(wanted: RegisterParcel, now: datetime) -> Result:
    """As the API takes it. A code that nobody gave is the one the command line uses too; the API
    fills it in with the carrier where that one is left out as well."""
    given: Result = {
        "announced_at": wanted.announced_at or now.isoformat(timespec="seconds"),
        "source_id": wanted.source_id,
        "from_address": _address(
            wanted.from_country_code, wanted.from_postal_code, wanted.sender_name
        ),
        "to_address": _address(
            wanted.to_country_code, wanted.to_postal_code, wanted.recipient_name
        ),
        "tracking_number": {
            "carrier_code": wanted.carrier_code.strip(),
            "tracking_number": wanted.tracking_number,
        },
    }
    option = wanted.shipping_option_code
    if option or wanted.carrier_code.strip():
        option = option or f"{wanted.carrier_code}:registered"
        properties = {"shipping_option_code": option}
        given["ship_with"] = {"type": "shipping_option_code", "properties": properties}
    if wanted.order_number:
        given["shipment"] = {"order": {"order_number": wanted.order_number}}
    return given


def _address(country_code: str, postal_code: str, name: str) -> Result:
    address = {"country_code": country_code, "postal_code": postal_code}
    return address | ({"name": name} if name else {})


def _recognised(told: Result) -> Result:
    return {"recognised": told["recognised"]} if "recognised" in told else {}


def _same(parcel: Result, wanted: RegisterParcel, recognised: Result | None) -> bool:
    """Whether what is there is what was to be registered, or another parcel of that source_id."""
    mine = (parcel["carrier_code"], number_key(parcel["tracking_number"]))
    asked = (wanted.carrier_code.strip().lower(), number_key(wanted.tracking_number))
    if recognised is not None:
        asked = (recognised["carrier_code"], number_key(recognised["tracking_number"]))
    return mine == asked and wanted.source_id in ("", parcel["source_id"])


async def _id_of(ask: Asking, wanted: OneParcel) -> str:
    """The id of the parcel; of several with that number the newest, as clients of v2 get it."""
    if wanted.parcel_id:
        return wanted.parcel_id
    # All of it, dots and slashes too: a path of dots would be another path.
    number = quote(wanted.tracking_number, safe="").replace(".", "%2E")
    query = {"carrier_code": wanted.carrier_code} if wanted.carrier_code else None
    try:
        found = await ask.get(f"{NUMBERS}/{number}", query)
    except Refusal as refused:
        if refused.status == 404:
            raise Refusal("No parcel with this number in the account (not_found)", 404) from None
        raise
    parcel_id: str = found["parcel_id"]
    return parcel_id


def _cut(document: Result, most: int) -> int:
    """Leaves the newest events in; how many it took out."""
    events = document["events"]
    document["events"] = events[:most]
    return max(0, len(events) - most)


def _in_a_query(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)


def _gives(properties: Result, *names: str, optional: Collection[str] = ()) -> Result:
    """An output schema; ``names`` are the published schemas it refers to."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
        "$defs": definitions(*names),
    }


_PARCEL = {"$ref": "#/$defs/Parcel"}
_CANDIDATE = {"$ref": "#/$defs/Candidate"}
TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "register_parcel",
            "Register a parcel",
            "Start tracking a parcel that was shipped with any carrier. Calling it again with the "
            "same carrier and number changes nothing and gives the parcel with `new: false`. "
            "Without a carrier the one that is clearly ahead is taken and told as `recognised`. "
            "`warnings` and `monitoring.reason` of the answer say if the carrier can't be asked.",
            RegisterParcel,
            _gives(
                {"new": {"type": "boolean"}, "parcel": _PARCEL, "recognised": _CANDIDATE},
                "parcel",
                "recognition",
                optional=["recognised"],
            ),
            register_parcel,
            writes=True,
        ),
        Tool(
            "recognise_number",
            "Recognise a number",
            "Whose tracking number this is: every candidate, how likely, and why. `best` is the "
            "one that registering without a carrier takes, null where none is clearly ahead. "
            "Nothing is asked, registered or kept.",
            RecogniseNumber,
            _gives({"recognition": {"$ref": "#/$defs/Recognition"}}, "recognition"),
            recognise_number,
        ),
        Tool(
            "track_parcel",
            "Track a parcel",
            "Where a registered parcel is: its status, expected delivery, events (newest first), "
            "and how fresh that is. By tracking_number or parcel_id.",
            OneParcel,
            _gives({"parcel": _PARCEL, "events_left_out": _LEFT_OUT}, "parcel"),
            track_parcel,
        ),
        Tool(
            "list_parcels",
            "List and search parcels",
            "Parcels of the account, by text, status, carrier, order number or time, page by page: "
            "pass `next_cursor` on with the same filters. Without events; track_parcel has them.",
            ListParcels,
            _gives(
                {
                    "parcels": {"type": "array", "items": _PARCEL},
                    "next_cursor": {"type": ["string", "null"]},
                },
                "parcel",
            ),
            list_parcels,
        ),
        Tool(
            "explain_parcel",
            "Explain a parcel's status",
            "Why a parcel has its status: the rule and the event that decided, what every event "
            "was read as, and which were ignored and why. By tracking_number or parcel_id.",
            OneParcel,
            _gives(
                {"explanation": {"$ref": "#/$defs/Explanation"}, "events_left_out": _LEFT_OUT},
                "explanation",
            ),
            explain_parcel,
        ),
    )
}
"""Every tool by its name."""
