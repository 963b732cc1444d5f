"""The columns of an import: how a row of cells becomes a registration, and a refusal a sentence."""

import difflib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from milepost.api.json_input import JsonLimits, judge, read_json, storable
from milepost.api.problems import Problem, problem_of
from milepost.api.unnamed_carriers import Named
from milepost.api.v3_models import read_registration
from milepost.errors import ConfigurationError, InvalidInput
from milepost.intake.csv_rows import undecoded
from milepost.tracking.parcel import Registration
from milepost.wire.spreadsheet import unguarded

Kind = Literal["text", "number", "yes_no", "json"]
Path = tuple[str, ...]
Naming = Callable[[Any], Awaitable[Named]]

_ADDRESS = (
    "name",
    "company_name",
    "address_line_1",
    "address_line_2",
    "house_number",
    "postal_code",
    "city",
    "po_box",
    "state_province_code",
    "country_code",
    "phone_number",
    "email",
)
_OTHERS: dict[str, tuple[str, Kind]] = {
    "tracking_number": ("tracking_number.tracking_number", "text"),
    "carrier_code": ("tracking_number.carrier_code", "text"),
    "tracking_identifier": ("tracking_number.tracking_identifier", "text"),
    "tracking_url": ("tracking_number.tracking_url", "text"),
    "announced_at": ("announced_at", "text"),
    "source_id": ("source_id", "text"),
    "shipping_option_code": ("ship_with.properties.shipping_option_code", "text"),
    "contract_id": ("ship_with.properties.contract_id", "number"),
    "order_number": ("shipment.order.order_number", "text"),
    "shipment_reference": ("shipment.external_reference_id", "text"),
    "brand_id": ("details.brand_id", "number"),
    "integration_id": ("details.integration_id", "number"),
    "is_return": ("details.is_return", "yes_no"),
    "is_mail_box": ("details.is_mail_box", "yes_no"),
    "is_to_service_point": ("details.is_to_service_point", "yes_no"),
    "expected_delivery_date": ("details.expected_delivery_date", "text"),
    "weight": ("measurements.weight.value", "number"),
    "weight_unit": ("measurements.weight.unit", "text"),
    "length": ("measurements.dimension.length", "number"),
    "width": ("measurements.dimension.width", "number"),
    "height": ("measurements.dimension.height", "number"),
    "dimension_unit": ("measurements.dimension.unit", "text"),
    "insured_value": ("insurance.insured_value.value", "text"),
    "insured_currency": ("insurance.insured_value.currency", "text"),
    "order_value": ("shipment.order.total_order_price.value", "text"),
    "order_currency": ("shipment.order.total_order_price.currency", "text"),
    "parcel_items": ("parcel_items", "json"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its name, and where its cells go in a registration."""

    name: str
    path: Path
    kind: Kind


def _every_column() -> dict[str, Column]:
    addresses: dict[str, tuple[str, Kind]] = {
        f"{side}_{part}": (f"{side}_address.{part}", "text")
        for side in ("from", "to")
        for part in _ADDRESS
    }
    return {
        name: Column(name, tuple(path.split(".")), kind)
        for name, (path, kind) in (_OTHERS | addresses).items()
    }


COLUMNS = _every_column()
_LIMITS = JsonLimits()
_NUMBER = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,16})?")
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_header(cells: Sequence[str], *, others: bool) -> tuple[Column | None, ...]:
    """The column behind each cell of a header; None for one that is left out (``others``).

    Raises ConfigurationError for a header that names a column twice, none of ours, or, unless
    ``others`` are allowed, one that is not ours.
    """
    names = [re.sub(r"[ -]+", "_", cell.strip().lower()) for cell in cells]
    found = tuple(COLUMNS.get(name) for name in names)
    known = [column.name for column in found if column is not None]
    if "tracking_number" not in known and "tracking_identifier" not in known:
        raise ConfigurationError("the first line names no column tracking_number")
    if twice := {name for name in known if known.count(name) > 1}:
        raise ConfigurationError(f"the first line names {min(twice)} twice")
    strange = [name for name, column in zip(names, found, strict=True) if name and column is None]
    if strange and not others:
        close = difflib.get_close_matches(strange[0], COLUMNS, 1)
        hint = f"; is {close[0]} meant?" if close else "; --other-columns leaves it out"
        shown = ascii(strange[0][:40])
        raise ConfigurationError(f"the first line names {shown}, which is no column{hint}")
    return found


def read_fixed(given: Sequence[str]) -> dict[str, str]:
    """``--set column=value``, for rows whose cell is empty or missing."""
    fixed = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or name not in COLUMNS:
            raise ConfigurationError(f"--set takes COLUMN=VALUE with a column of ours, not {one}")
        fixed[name] = value
    return fixed


async def read_row(
    columns: Sequence[Column | None], cells: Sequence[str], fixed: Mapping[str, str], naming: Naming
) -> Registration | str:
    """The registration a row stands for, or why it is refused, by the name of the column.

    ``naming`` finds the carrier of a row that names none.
    """
    if any(cells[len(columns) :]):
        return f"the row has {len(cells)} cells, the first line has {len(columns)}"
    values = dict(fixed)
    for column, cell in zip(columns, cells, strict=False):
        if cell and column is not None:
            if not cell.isascii() and undecoded(cell):
                return f"{column.name}: bytes that are not of the file's encoding"
            values[column.name] = unguarded(cell) if cell[0] == "'" else cell
    try:
        document = document_of(values)
        if not surely_fine("".join(values.values())):
            judge(document, _LIMITS)
    except InvalidInput as refused:
        return told(problem_of(refused))
    named = await naming(document)
    if named.problem is not None:
        return told(named.problem)
    registration = read_registration(with_option(named.document))
    return told(registration) if isinstance(registration, Problem) else registration


def surely_fine(text: str) -> bool:
    """A look at all cells of a row at once, which spares a look at each of them."""
    return len(text) * 4 <= _LIMITS.string_bytes and storable(text)


def told(problem: Problem) -> str:
    """A refusal by columns: ``to_postal_code: Field required; ...``."""
    fields = (f"{_column_of(one.loc)}: {one.msg}" for one in problem.fields)
    return "; ".join(fields) or problem.detail


def document_of(values: Mapping[str, str]) -> dict[str, Any]:
    """The registration that cells make, by the names of our columns. InvalidInput for bad JSON."""
    document: dict[str, Any] = {"tracking_number": {}, "from_address": {}, "to_address": {}}
    for name, text in values.items():
        column = COLUMNS[name]
        *steps, last = column.path
        place = document
        for step in steps:
            place = place.setdefault(step, {})
        place[last] = text if column.kind == "text" else _value(column, text)
    return document


def with_option(document: dict[str, Any]) -> dict[str, Any]:
    """As `milepost register` has it, where nobody says how it was shipped."""
    properties = document.get("ship_with", {}).get("properties", {})
    if not properties:
        carrier = document["tracking_number"].get("carrier_code", "").strip().lower()
        properties = {"shipping_option_code": f"{carrier}:registered"}
    by_option = "shipping_option_code" in properties
    kind = "shipping_option_code" if by_option else "contract"
    return document | {"ship_with": {"type": kind, "properties": properties}}


def _value(column: Column, text: str) -> Any:
    """What JSON would have had; text that is none of that is refused with everything else."""
    match column.kind:
        case "number" if _NUMBER.fullmatch(text.strip()):
            return float(text) if "." in text else int(text)
        case "yes_no":
            return _YES_NO.get(text.strip().lower(), text)
        case "json":
            try:
                return read_json(text.encode("utf-8", "replace"), _LIMITS)
            except InvalidInput as refused:
                inside = refused.field[1:]
                raise InvalidInput(
                    refused.message, ("body", *column.path, *inside), refused.kind
                ) from refused
        case _:
            return text


def _column_of(loc: Sequence[str | int]) -> str:
    """The column behind a place in the document; the place itself where there is none."""
    path = tuple(loc[1:])
    for column in COLUMNS.values():
        if path == column.path:
            return column.name
    return ".".join(map(str, path))
