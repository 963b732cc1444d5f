"""The kinds of values a registration is made of: what is taken, and the JSON Schema that says so.

Every rule stands once: the pattern that judges a value is the pattern that is published, so the
OpenAPI document and the behaviour can't drift apart.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from milepost.api.json_input import MAX_INTEGER

_BLANK = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
# Control, bidi, zero-width, fillers, line separators: invisible, so never part of a number. Those
# beyond 16 bits stand as themselves, which is the only spelling that all readers of patterns share.
UNSEEN = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_BLANKS = "".join(chr(code) for code in range(0x3001) if re.fullmatch(f"[{_BLANK}]", chr(code)))


def _visible(most: int) -> str:
    """1 to ``most`` visible characters between blanks that don't count."""
    edge, inner = f"[^{UNSEEN}{_BLANK}]", f"[^{UNSEEN}]"
    return f"^[{_BLANK}]*{edge}({inner}{{0,{most - 2}}}{edge})?[{_BLANK}]*$"


NUMBER_PATTERN = _visible(255)
CARRIER_PATTERN = _visible(64)
_NUMBER = re.compile(NUMBER_PATTERN)
_CARRIER = re.compile(CARRIER_PATTERN)

_YEAR = "(199[0-9]|20[0-9][0-9]|2100)"
_LEAP = "(199[26]|20([02468][048]|[13579][26]))"
DAY_PATTERN = (
    f"({_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    f"|{_YEAR}-(0[13-9]|1[0-2])-(29|30)"
    f"|{_YEAR}-(0[13578]|1[02])-31"
    f"|{_LEAP}-02-29)"
)
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
_OFFSET = "([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?"
MOMENT_PATTERN = f"^{DAY_PATTERN}([Tt ]{_CLOCK}{_OFFSET})?$"
_DAY = re.compile(DAY_PATTERN)
_MOMENT = re.compile(MOMENT_PATTERN)

AMOUNT_PATTERN = r"^-?[0-9]{1,16}([.][0-9]{1,16})?$"
_AMOUNT = re.compile(AMOUNT_PATTERN)

_FIRST = datetime(1990, 1, 1, tzinfo=UTC)
_LAST = datetime(2100, 12, 31, 23, 59, 59, 999_999, UTC)

NO_NUL = "^[^\\u0000]*$"


def trimmed_number(number: str) -> str | None:
    """The tracking number as it is echoed, None if it has no valid form."""
    if number.isalnum() and number.isascii() and len(number) < 256:
        # Nearly all are: the same answer in a fifth of the time.
        return number
    return number.strip(_BLANKS) if _NUMBER.fullmatch(number) else None


def _read_number(value: str) -> str:
    number = trimmed_number(value)
    if number is None:
        raise PydanticCustomError(
            "tracking_number_format",
            "A tracking number has 1 to 255 characters, none of them a control, bidirectional or "
            "zero-width character",
        )
    return number


def _read_carrier(value: str) -> str:
    if not _CARRIER.fullmatch(value):
        raise PydanticCustomError(
            "carrier_code_format", "A carrier code has 1 to 64 visible characters"
        )
    return value.strip(_BLANKS).lower()


def read_moment(value: Any) -> datetime:
    """A stated time as UTC; without an offset it is UTC, without a clock it is midnight.

    Where its offset puts it outside the years that may be stated it is their first or last moment:
    what is kept can be stated again.
    """
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise PydanticCustomError(
            "datetime_parsing", "Not an ISO 8601 date and time from 1990 to 2100"
        )
    moment = datetime.fromisoformat(value.upper())
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return min(max(utc, _FIRST), _LAST)


def _read_day(value: str) -> str:
    if value and not _DAY.fullmatch(value):
        raise PydanticCustomError("date_parsing", "Not a date YYYY-MM-DD from 1990 to 2100")
    return value


def limited(most: int, least: int = 0) -> Any:
    """A text of ``least`` to ``most`` characters."""
    return Field(min_length=least, max_length=most, json_schema_extra={"pattern": NO_NUL})


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        # JSON Schema calls 5.0 an integer, and some clients write all numbers that way.
        if not _finite(value) or value != int(value):
            raise PydanticCustomError("int_type", "Input should be an integer")
        if not least <= value <= MAX_INTEGER:
            raise PydanticCustomError("int_range", f"Input should be {least} to {MAX_INTEGER}")
        return int(value)

    return read


def _measure(*, above_zero: bool) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if not _finite(value):
            raise PydanticCustomError("float_type", "Input should be a number")
        if not 0 <= value <= MAX_INTEGER or (above_zero and value == 0):
            least = "over 0" if above_zero else "0 or more"
            raise PydanticCustomError("float_range", f"Input should be {least}, at most 2^53")
        number: float = value
        return number

    return read


def _read_amount(value: Any) -> str:
    """A price as text, whether it was sent as text or as a number; the text can be read again."""
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        return value
    if _finite(value) and abs(value) <= MAX_INTEGER:
        # 0.1 + 0.2 has a digit more than the text of a price may have.
        return format(Decimal(repr(round(value, 16))), "f")
    raise PydanticCustomError("price_value", "Input should be a number or a numeric string")


def _upper(value: str) -> str:
    return value.upper()


def _schema(kind: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, **more})


Schema = dict[str, Any]
NUMBER_SCHEMA: Schema = {"type": "string", "pattern": NUMBER_PATTERN}
CARRIER_SCHEMA: Schema = {"type": "string", "pattern": CARRIER_PATTERN}
CURRENCY_SCHEMA: Schema = {"type": "string", "pattern": "^[A-Za-z]{3}$"}
AMOUNT_SCHEMAS: list[Schema] = [
    {"type": "string", "pattern": AMOUNT_PATTERN},
    {"type": "number", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
]
# What no field of ours reads still has to be JSON that could be kept. The OpenAPI document has a
# schema for it; pydantic would look for a reference to it in vain, so the title stands there first.
ANY_VALUE: Schema = {"title": "AnyValue"}
ANY_OBJECT: Schema = {"propertyNames": {"pattern": NO_NUL}, "additionalProperties": ANY_VALUE}
ANY_VALUE_SCHEMA: Schema = {
    "anyOf": [
        {"type": ["null", "boolean"]},
        {"type": "number", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        {"type": "string", "pattern": NO_NUL},
        {"type": "array", "items": ANY_VALUE},
        {"type": "object", **ANY_OBJECT},
    ]
}
ABSENT_SCHEMAS: list[Schema] = [{"const": ""}, {"type": "null"}]


def _bounded(**bounds: Any) -> dict[str, Any]:
    return {**bounds, "maximum": MAX_INTEGER}


AnyObject = Annotated[dict[str, Any], _schema("object", **ANY_OBJECT)]
Text = Annotated[str, Field(json_schema_extra={"pattern": NO_NUL})]
Filled = Annotated[str, Field(min_length=1, json_schema_extra={"pattern": NO_NUL})]
Country = Annotated[Filled, AfterValidator(_upper)]
Currency = Annotated[str, Field(pattern=CURRENCY_SCHEMA["pattern"]), AfterValidator(_upper)]
Number = Annotated[str, AfterValidator(_read_number), WithJsonSchema(NUMBER_SCHEMA)]
NumberOrEmpty = Annotated[
    str,
    AfterValidator(lambda given: given and _read_number(given)),
    WithJsonSchema({"anyOf": [NUMBER_SCHEMA, ABSENT_SCHEMAS[0]]}),
]
Carrier = Annotated[str, AfterValidator(_read_carrier), WithJsonSchema(CARRIER_SCHEMA)]
CarrierOrEmpty = Annotated[
    str,
    AfterValidator(lambda given: given and _read_carrier(given)),
    WithJsonSchema({"anyOf": [CARRIER_SCHEMA, ABSENT_SCHEMAS[0]]}),
]
Moment = Annotated[
    datetime,
    PlainValidator(read_moment),
    _schema("string", pattern=MOMENT_PATTERN, examples=["2024-01-01T00:00:00Z"]),
]
DayOrEmpty = Annotated[
    str, AfterValidator(_read_day), _schema("string", pattern=f"^({DAY_PATTERN})?$")
]
Whole = Annotated[
    int,
    PlainValidator(_whole(-MAX_INTEGER)),
    _schema("integer", **_bounded(minimum=-MAX_INTEGER)),
]
Counted = Annotated[int, PlainValidator(_whole(1)), _schema("integer", **_bounded(minimum=1))]
Measure = Annotated[
    float, PlainValidator(_measure(above_zero=False)), _schema("number", **_bounded(minimum=0))
]
Weighed = Annotated[
    float,
    PlainValidator(_measure(above_zero=True)),
    _schema("number", **_bounded(exclusiveMinimum=0)),
]
Amount = Annotated[str, PlainValidator(_read_amount), WithJsonSchema({"anyOf": AMOUNT_SCHEMAS})]
