"""The statements Milepost sends, as a pgbench script with the same arguments."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from unittest import mock

import asyncpg
import orjson

from milepost import wiring
from milepost.db.pool import open_pool

T = TypeVar("T")
TRIES = 4
"""What is known of an account is asked for anew now and then, on a busy machine often."""
_TRANSACTION = "a transaction of several statements"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and what it was sent with."""

    query: str
    arguments: Sequence[Any]


class Noting:
    """A pool that notes what is sent through it, for as long as somebody listens."""

    def __init__(self, pool: Any, noted: list[Statement]) -> None:
        self._pool = pool
        self._noted = noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def acquire(self, **options: Any) -> Any:
        self._noted.append(Statement(_TRANSACTION, ()))
        return self._pool.acquire(**options)


for _name in ("fetch", "fetchrow", "fetchval", "execute"):

    def _send(self: Noting, query: str, *arguments: Any, _name: str = _name, **more: Any) -> Any:
        self._noted.append(Statement(query, arguments))
        return getattr(self._pool, _name)(query, *arguments, **more)

    setattr(Noting, _name, _send)


@contextmanager
def noting() -> Iterator[list[Statement]]:
    """Parts wired in this block send through a noting pool; the list fills as they work."""
    noted: list[Statement] = []

    async def opened(*arguments: Any, **more: Any) -> Any:
        return Noting(await open_pool(*arguments, **more), noted)

    with mock.patch.object(wiring, "open_pool", opened):
        yield noted


async def fewest(
    noted: list[Statement], works: Sequence[tuple[T, Callable[[], Awaitable[object]]]]
) -> tuple[T, list[Statement]]:
    """Which of several like works sent the fewest statements, and those: nothing was asked beside.

    What waits for a connection of its own counts as many.
    """
    found = []
    for name, work in works:
        noted.clear()
        await work()
        found.append((name, list(noted)))
    return min(found, key=lambda one: (_opens(one[1]), len(one[1])))


def _opens(statements: Sequence[Statement]) -> bool:
    return any(statement.query is _TRANSACTION for statement in statements)


async def script(
    statements: Sequence[Statement],
    connection: "asyncpg.Connection[asyncpg.Record]",
    parcel_id: int = 0,
    sample: str = "",
) -> tuple[str, Mapping[str, str]]:
    """A script, and the values of its variables.

    The nine digits ``sample`` in any argument become the number ``:n``, and the integer
    ``parcel_id`` becomes ``:template + :n``.
    """
    lines: list[str] = []
    values: dict[str, str] = {}
    for place, statement in enumerate(statements):
        if statement.query is _TRANSACTION:
            raise RuntimeError("what is sent inside a transaction can't be noted")
        types = (await connection.prepare(statement.query)).get_parameters()
        query = statement.query
        for index in range(len(types), 0, -1):
            name = f"a{place}_{index}"
            argument = statement.arguments[index - 1]
            kind = types[index - 1].name
            shown = _shown(argument, kind, name, parcel_id, sample, values)
            query = query.replace(f"${index}", shown)
        lines.append(query + ";")
    return "\n".join(lines) + "\n", values


def _shown(
    argument: Any, kind: str, name: str, parcel_id: int, sample: str, values: dict[str, str]
) -> str:
    cast = _cast(kind)
    if argument is None:
        return f"NULL::{cast}"
    if parcel_id and argument in (parcel_id, [parcel_id]):
        number = "(:template::bigint + :n::bigint)"
        return f"ARRAY[{number}::bigint]" if isinstance(argument, list) else f"{number}::{cast}"
    text = _literal(argument, kind)
    values[name] = text
    if sample and sample in text:
        return f"replace(:{name}, '{sample}', lpad((:n)::text, 9, '0'))::{cast}"
    return f":{name}::{cast}"


def _cast(kind: str) -> str:
    return kind[:-2] + "[]" if kind.endswith("[]") else kind


def _literal(argument: Any, kind: str) -> str:
    match argument:
        case bytes():
            return "\\x" + argument.hex()
        case datetime():
            return argument.isoformat()
        case timedelta():
            return f"{argument.total_seconds()} seconds"
        case list() | tuple() if kind.endswith("[]"):
            return "{" + ",".join(_quoted(_literal(one, kind[:-2])) for one in argument) + "}"
        case _ if kind == "jsonb":
            return orjson.dumps(argument).decode()
        case _:
            return str(argument)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
