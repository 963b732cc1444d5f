"""Reading a JSON body: every oddity of JSON has a decided answer here, before any model sees it.

The standard library's parser is used because its hooks see every pair, integer and constant;
faster parsers keep the last of two equal keys and turn a long integer silently into a float.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from milepost.errors import InvalidInput

MAX_INTEGER = 2**53 - 1
"""Beyond this, whole numbers are not exact in every client's JSON."""

Path = tuple[str | int, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JsonLimits:
    """How deep, wide and long a document may be (``string_bytes`` counts UTF-8)."""

    depth: int = 32
    keys: int = 1000
    string_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands where the parser met something we don't take, until its path is known."""

    kind: str
    message: str
    key: str = ""


def read_json(body: bytes, limits: JsonLimits) -> Any:
    """The value of ``body``; InvalidInput naming the field for anything that can't be kept.

    Refused: malformed text, NaN and infinities, equal keys, numbers beyond 2^53, NUL and lone
    surrogates, and documents beyond ``limits``.
    """
    if not body.strip():
        raise InvalidInput("Field required", ("body",), "missing")
    if depth_exceeds(body, limits.depth):
        raise InvalidInput(f"JSON is nested deeper than {limits.depth}", ("body",), "json_invalid")
    try:
        text = body.decode("utf-8-sig")
        if _cannot_offend(body, limits):
            with suppress(_Doubt):
                return _TRUSTING_DECODER.decode(text)
        value = _DECODER.decode(text)
    except UnicodeDecodeError as broken:
        raise InvalidInput("JSON is not UTF-8", ("body", broken.start), "json_invalid") from broken
    except json.JSONDecodeError as broken:
        message = f"JSON decode error: {broken.msg}"
        raise InvalidInput(message, ("body", broken.pos), "json_invalid") from broken
    judge(value, limits)
    return value


def judge(value: Any, limits: JsonLimits) -> None:
    """InvalidInput for the first thing in ``value`` that can't be kept or is beyond ``limits``."""
    for path, refused in _refusals(value, ("body",), limits):
        raise InvalidInput(refused.message, path, refused.kind)


def storable(text: str) -> bool:
    """False for what PostgreSQL can't hold: NUL, and surrogates without a partner."""
    if text.isascii():
        return "\x00" not in text
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False


def _cannot_offend(body: bytes, limits: JsonLimits) -> bool:
    """Whether no text and no object of ``body`` can be refused, so that nobody has to look.

    A NUL or a lone surrogate can only come from an escape; looking at every value costs more than
    parsing them.
    """
    short = len(body) <= limits.string_bytes and body.count(b":") <= limits.keys
    return short and b"\\u" not in body


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def depth_exceeds(body: bytes, most: int) -> bool:
    """Whether it is nested deeper than ``most``. Counted before parsing: a deep document would
    exhaust the parser's stack."""
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > most:
            return True
    return False


def _integer(text: str) -> int | _Refused:
    if len(text) <= 17 and abs(number := int(text)) <= MAX_INTEGER:
        return number
    return _Refused("int_parsing_size", "Number is beyond 2^53")


def _float(text: str) -> float | _Refused:
    number = float(text)
    if abs(number) <= MAX_INTEGER:
        return number
    return _Refused("number_range", "Number is beyond 2^53")


def _constant(text: str) -> _Refused:
    return _Refused("json_invalid", f"JSON has no {text}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Refused:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return _Refused("json_invalid", "Key appears twice", key)
        seen.add(key)
    raise AssertionError("a dict lost a key that is not repeated")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


class _Doubt(Exception):
    """Something is refused; what and where is found out by parsing again."""


def _doubting(hook: Callable[[T], Any]) -> Callable[[T], Any]:
    """``hook``, but for raising where it refuses."""

    def checked(given: T) -> Any:
        found = hook(given)
        if isinstance(found, _Refused):
            raise _Doubt
        return found

    return checked


_TRUSTING_DECODER = json.JSONDecoder(
    object_pairs_hook=_doubting(_object),
    parse_int=_doubting(_integer),
    parse_float=_doubting(_float),
    parse_constant=_doubting(_constant),
)


def _refusals(value: Any, path: Path, limits: JsonLimits) -> Iterator[tuple[Path, _Refused]]:
    if isinstance(value, str):
        if refused := _text(value, limits):
            yield path, refused
    elif isinstance(value, dict):
        if len(value) > limits.keys:
            yield path, _Refused("too_long", f"Object has more than {limits.keys} keys")
        for key, item in value.items():
            if refused := _text(key, limits):
                yield path, refused
            yield from _refusals(item, (*path, key), limits)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _refusals(item, (*path, index), limits)
    elif isinstance(value, _Refused):
        # The key is named only if it can itself be written into an answer.
        yield (*path, value.key) if value.key and storable(value.key) else path, value


def _text(text: str, limits: JsonLimits) -> _Refused | None:
    if not storable(text):
        return _Refused("string_unicode", "Text has a NUL or a lone surrogate")
    # A character has at most 4 bytes, so most strings need no counting.
    if len(text) * 4 > limits.string_bytes and len(text.encode()) > limits.string_bytes:
        return _Refused("string_too_long", f"Text is over {limits.string_bytes} bytes")
    return None
