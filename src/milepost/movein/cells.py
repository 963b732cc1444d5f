"""A row of a tool's CSV, by the columns its table names."""

import re
from collections.abc import Mapping, Sequence

from milepost.errors import ConfigurationError
from milepost.movein.foreign import ForeignAddress, ForeignParcel, ForeignScan
from milepost.movein.tools import CODES, Tool, tool
from milepost.wire.spreadsheet import unguarded

_TEXT_FORMULA = re.compile(r'="(.*)"', re.DOTALL)
_ROUNDED = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)
ROUNDED = "a spreadsheet has rounded this number; export it anew and don't open it in one"


def columns_of(header: Sequence[str], given: Tool) -> tuple[str, ...]:
    """What each column is: one of the table's words, or the column's own name in parentheses.

    Raises ConfigurationError for a first line that is not of this tool; says whose it looks like.
    """
    names = [normal(cell) for cell in header]
    found = [given.columns.get(name, f"({name})" if name else "") for name in names]
    # The first column that is something counts: an export may hold a status twice.
    known = ["" if meaning in found[:place] else meaning for place, meaning in enumerate(found)]
    if "number" in known:
        return tuple(known)
    likely = [one.name for code in CODES if "number" in _meanings(names, one := tool(code))]
    hint = f"; it may be of {' or '.join(likely)}" if likely else ""
    shown = ", ".join(ascii(name[:40]) for name in names[:6] if name)
    raise ConfigurationError(
        f"the first line ({shown}) is none of {given.name}: expected are {given.expected}{hint}"
    )


def normal(cell: str) -> str:
    """A column's name as tables have it."""
    return re.sub(r"[\s_/-]+", "_", cell.strip().lower())


def read_cells(columns: Sequence[str], cells: Sequence[str], given: Tool) -> ForeignParcel:
    """The parcel of a row. Raises ConfigurationError for a number a spreadsheet has spoiled."""
    values = {
        meaning: text
        for meaning, cell in zip(columns, cells, strict=False)
        if meaning and (text := plain(cell))
    }
    number = values.get("number", "")
    if _ROUNDED.fullmatch(number):
        raise ConfigurationError(f"tracking_number: {ROUNDED}")
    return ForeignParcel(
        number=number,
        carrier=values.get("carrier", ""),
        carrier_name=values.get("carrier_name", ""),
        status=_status(values, given),
        announced=values.get("announced_at", ""),
        ours=values.get("id", ""),
        order_number=values.get("order_number", ""),
        order_id=values.get("order_id", ""),
        title=values.get("title", ""),
        recipient=_address(values, "to"),
        sender=_address(values, "from"),
        expected_day=values.get("expected_delivery_date", ""),
        signed_by=values.get("signed_by", ""),
        left_out=_left_out(values),
    )


def plain(cell: str) -> str:
    """What a cell says: no formula that only keeps a spreadsheet from rounding, no apostrophe."""
    text = unguarded(cell.strip())
    match = _TEXT_FORMULA.fullmatch(text)
    return (match[1] if match else text).strip()


def _meanings(names: Sequence[str], other: Tool) -> set[str]:
    return {other.columns.get(name, "") for name in names}


def _status(values: Mapping[str, str], given: Tool) -> ForeignScan | None:
    main, exact = values.get("status", ""), values.get("sub_status", "")
    if not main and not exact:
        return None
    spelled = {word.casefold(): word for word in given.readings}
    words = (exact, f"{main} {exact}", main, main.replace(" ", ""), main.replace(" ", "_"))
    statuses = [spelled[word.casefold()] for word in words if word.casefold() in spelled]
    at = values.get("status_at", "")
    return ForeignScan(
        stated=values.get("delivered_at", "") or at,
        statuses=(*dict.fromkeys(statuses), main or exact),
        text=values.get("text", ""),
    )


def _address(values: Mapping[str, str], end: str) -> ForeignAddress:
    def told(part: str) -> str:
        return values.get(f"{end}_{part}", "")

    return ForeignAddress(
        name=told("name"),
        company=told("company"),
        street=told("street"),
        city=told("city"),
        state=told("state"),
        postal_code=told("postal_code"),
        country=told("country"),
        phone=told("phone").split(",")[0].strip(),
        email=told("email").split(",")[0].strip(),
    )


def _left_out(values: Mapping[str, str]) -> tuple[str, ...]:
    others = [name.strip("()") for name in values if name.startswith("(")]
    further = [
        f"further {part}s" for part in ("email", "phone") if "," in values.get(f"to_{part}", "")
    ]
    if values.get("options", "{}") not in ("{}", "None"):
        others.append("options")
    return (*others, *further)
