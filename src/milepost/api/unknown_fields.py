"""Fields of a change that nobody reads. A registration is liberal and passes over them; a change
that did so would be told as done."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from milepost.api.problems import FieldProblem
from milepost.api.v3_models import Insurance, InsuredValue, RegistrationRequest
from milepost.api.v3_parts import Part

Location = tuple[str | int, ...]
Parts = Collection[type[Part]]
_FLAT = {Insurance: InsuredValue}
"""Whose fields may stand in it themselves."""


def unknown_fields(
    given: Mapping[str, Any], parts: Parts = (RegistrationRequest,), loc: Location = ("body",)
) -> Iterator[FieldProblem]:
    """Each field of ``given``, at any depth, that none of ``parts`` has."""
    known: dict[str, set[type[Part]]] = {}
    for part in parts:
        flat = _FLAT[part].model_fields if part in _FLAT else {}
        for name, field in (flat | part.model_fields).items():
            known.setdefault(name, set()).update(_parts_in(field.annotation))
    for name, value in given.items():
        if name in known:
            yield from _below(value, known[name], (*loc, name))
        else:
            yield FieldProblem((*loc, name), "Unknown field", "unknown")


def _below(value: Any, parts: Parts, loc: Location) -> Iterator[FieldProblem]:
    """What is no part of ours may hold any names, or is refused for what it is."""
    if parts and isinstance(value, Mapping):
        yield from unknown_fields(value, parts, loc)
    elif parts and isinstance(value, list):
        for place, one in enumerate(value):
            yield from _below(one, parts, (*loc, place))


def _parts_in(annotation: Any) -> set[type[Part]]:
    inside = get_args(annotation)
    if inside:
        return set().union(*map(_parts_in, inside))
    return {annotation} if isinstance(annotation, type) and issubclass(annotation, Part) else set()
