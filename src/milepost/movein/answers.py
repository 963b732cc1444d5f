"""Values of a tool's JSON: every one may be missing, null or of another kind than documented."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]


def text_of(value: Any) -> str:
    """A text or number as text, ``""`` for everything else."""
    if isinstance(value, str):
        return value.strip()
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else ""


def first_text(row: Object, *names: str) -> str:
    """The first of these fields that holds a text."""
    return next((text for name in names if (text := text_of(row.get(name)))), "")


def object_of(value: Any) -> Object:
    """An object, an empty one for everything else."""
    return value if isinstance(value, Mapping) else {}


def objects_of(value: Any) -> Iterator[Object]:
    """The objects of a list."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (one for one in value if isinstance(one, Mapping))


def texts_of(value: Any) -> list[str]:
    """The texts of a list, or a single one, parted by commas or not."""
    values = value if isinstance(value, list) else [value]
    found = [part.strip() for one in values for part in text_of(one).split(",")]
    return [part for part in found if part]


def held(row: Object, names: Sequence[str]) -> tuple[str, ...]:
    """Which of these fields hold anything."""
    return tuple(name for name in names if row.get(name) not in (None, "", [], {}))
