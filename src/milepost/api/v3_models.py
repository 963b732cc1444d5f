"""``POST /api/v3/parcels/tracking``, liberal in: every documented variant of a registration.

The published guide, schema and examples contradict one another; what they agree on is required,
the rest is taken in every variant and kept in the one form we answer in. Unknown keys are dropped.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic_core import CoreSchema, ErrorDetails

from milepost.api.problems import FieldProblem, Problem, invalid
from milepost.api.v3_fields import (
    ABSENT_SCHEMAS,
    AMOUNT_SCHEMAS,
    CARRIER_SCHEMA,
    CURRENCY_SCHEMA,
    NUMBER_SCHEMA,
    UNSEEN,
    Amount,
    Carrier,
    CarrierOrEmpty,
    Currency,
    Moment,
    Number,
    NumberOrEmpty,
    Schema,
    Text,
    limited,
)
from milepost.api.v3_parts import (
    Address,
    Details,
    Item,
    Measurements,
    Part,
    Price,
    Shipment,
    WithContract,
    WithOption,
)
from milepost.tracking.parcel import Registration

_IN_LINK = rf"^{UNSEEN}\s\"<>\\"
_LINK = re.compile(rf"https?://[{_IN_LINK}/?#][{_IN_LINK}]*\Z", re.IGNORECASE)


class InsuredValue(Part):
    """What is insured; the flat form may come without a currency."""

    value: Amount
    currency: Currency | None = None


class Insurance(Part):
    """``insured_value`` as the schema has it, or flat (``value``, ``currency``) as the example."""

    insured_value: InsuredValue | None = None
    policy_id: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        return with_insured_value(given)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Schema:
        schema = handler.resolve_ref_schema(handler(core))
        schema["properties"] |= {
            "value": {"anyOf": [*AMOUNT_SCHEMAS, {"type": "null"}]},
            "currency": {"anyOf": [CURRENCY_SCHEMA, {"type": "null"}]},
        }
        return schema


def with_insured_value(insurance: Any) -> Any:
    """An insurance with its ``insured_value`` in its own object, as we keep it."""
    if not isinstance(insurance, dict) or not _is_flat(insurance):
        return insurance
    flat = {name: insurance[name] for name in ("value", "currency") if name in insurance}
    return insurance | {"insured_value": flat}


def _is_flat(insurance: Mapping[str, Any]) -> bool:
    return insurance.get("insured_value") is None and insurance.get("value") is not None


class TrackingNumber(Part):
    """Carrier and number; ``tracking_identifier`` stands in where there is no number."""

    never_empty = frozenset({"tracking_identifier", "tracking_url"})

    carrier_code: Carrier
    tracking_number: Number
    tracking_identifier: NumberOrEmpty | None = None
    tracking_url: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _identifier_stands_in(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("tracking_number") not in (None, ""):
            return given
        rest = {name: value for name, value in given.items() if name != "tracking_number"}
        identifier = given.get("tracking_identifier")
        return rest if identifier in (None, "") else rest | {"tracking_number": identifier}

    def document(self) -> dict[str, Any]:
        """As kept; a link that is not http(s) is dropped, since pages would offer it."""
        document = super().document()
        if not _LINK.match(self.tracking_url or ""):
            document.pop("tracking_url", None)
        return document

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Schema:
        schema = handler.resolve_ref_schema(handler(core))
        schema["properties"]["tracking_number"] = {"anyOf": [NUMBER_SCHEMA, *ABSENT_SCHEMAS]}
        schema["required"] = ["carrier_code"]
        schema["anyOf"] = [
            {"required": [name], "properties": {name: NUMBER_SCHEMA}}
            for name in ("tracking_number", "tracking_identifier")
        ]
        return schema


class RegistrationRequest(Part):
    """A whole registration."""

    announced_at: Moment
    source_id: Annotated[str, limited(255)]
    from_address: Address
    to_address: Address
    ship_with: Annotated[WithOption | WithContract, Field(discriminator="type")]
    tracking_number: TrackingNumber
    carrier_code: CarrierOrEmpty | None = None
    details: Details | None = None
    insurance: Insurance | None = None
    measurements: Measurements | None = None
    parcel_items: list[Item] | None = None
    return_price: Price | None = None
    shipment: Shipment | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_number(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(number := given.get("tracking_number"), str):
            carrier = given.get("carrier_code")
            named = {} if carrier in (None, "") else {"carrier_code": carrier}
            return given | {"tracking_number": named | {"tracking_number": number}}
        return given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Schema:
        schema = handler.resolve_ref_schema(handler(core))
        as_object = schema["properties"]["tracking_number"]
        schema["properties"]["tracking_number"] = {"anyOf": [as_object, NUMBER_SCHEMA]}
        schema["anyOf"] = [
            {"properties": {"tracking_number": {"type": "object"}}},
            {
                "properties": {
                    "tracking_number": {"type": "string"},
                    "carrier_code": CARRIER_SCHEMA,
                },
                "required": ["carrier_code"],
            },
        ]
        return schema


MOST_PROBLEMS = 100
"""A refusal names this many fields at most."""
_OWN_COLUMNS = {"announced_at", "source_id", "carrier_code"}


def read_registration(given: Any, integration_id: int | None = None) -> Registration | Problem:
    """The registration a client sent, or a 422 that names every wrong field.

    One that names no integration is ``integration_id``'s, to which the client's key is bound.
    """
    try:
        request = RegistrationRequest.model_validate(given)
    except ValidationError as refused:
        return refused_fields(refused, given)
    document = request.document()
    if integration_id is not None:
        document["details"] = {"integration_id": integration_id} | document.get("details", {})
    number = document["tracking_number"]
    return Registration(
        carrier_code=request.tracking_number.carrier_code,
        tracking_number=request.tracking_number.tracking_number,
        source_id=request.source_id,
        announced_at=request.announced_at,
        document={name: part for name, part in document.items() if name not in _OWN_COLUMNS},
        tracking_identifier=number.get("tracking_identifier", ""),
        tracking_url=number.get("tracking_url", ""),
    )


def refused_fields(refused: ValidationError, given: Any) -> Problem:
    """The 422 that names every wrong field of ``given``."""
    errors = refused.errors(include_url=False, include_input=False)[:MOST_PROBLEMS]
    return invalid(*(_field_problem(error, given) for error in errors))


def _field_problem(error: ErrorDetails, given: Any) -> FieldProblem:
    loc = _as_sent(error["loc"], given if isinstance(given, dict) else {})
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        loc = (*loc, "type")
        missing = error["type"] == "union_tag_not_found"
        return FieldProblem(("body", *loc), *(_NO_TYPE if missing else _OTHER_TYPE))
    if error["type"] in ("model_type", "model_attributes_type"):
        return FieldProblem(("body", *loc), *_NO_OBJECT)
    return FieldProblem(("body", *loc), error["msg"], error["type"])


_NO_OBJECT = ("Input should be an object", "dict_type")
_NO_TYPE = ("Field required", "missing")
_OTHER_TYPE = ("Input should be 'shipping_option_code' or 'contract'", "literal_error")


def _as_sent(loc: tuple[str | int, ...], given: Mapping[str, Any]) -> tuple[str | int, ...]:
    """The place in the client's own document, not in the form we read it into."""
    match loc:
        case ("ship_with", "shipping_option_code" | "contract", *rest):
            return ("ship_with", *rest)
        case ("tracking_number", name) if isinstance(given.get("tracking_number"), str):
            return (name,)
        case ("insurance", "insured_value", *rest) if _is_flat(given["insurance"]):
            return ("insurance", *rest)
        case _:
            return loc
