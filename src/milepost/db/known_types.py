"""Connections that know PostgreSQL's own types from the connections before them.

The driver asks each connection what every type is that it has not met there, PostgreSQL's own
arrays included. That question costs the server 13 ms of its processor's time, on a busy machine
much longer to wait for: a burst opens connections, and the first requests on each of them, those
of quiet accounts too, would wait for it.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

FIRST_ASSIGNED = 10_000
"""The ids below are part of PostgreSQL's source; types with higher ones differ from database to
database, and may change."""

_known: dict[int, Any] = {}
"""By type, the answer it was described in: its neighbours are described twice, which is no harm."""


class _Unasked(NamedTuple):
    """Stands in for the statement that asks: a named one leaves others as they are."""

    name: str = "unasked"


class KnowingConnection(_Connection):
    """asyncpg's, but for what it asks. Were that method called otherwise by a newer driver, each
    connection would ask again, and a test say so."""

    async def _introspect_types(
        self,
        typeoids: Collection[int],
        timeout: float | None,  # noqa: ASYNC109 the driver's own signature
    ) -> tuple[Any, Any]:
        if all(oid in _known for oid in typeoids):
            return [row for oid in typeoids for row in _known[oid]], _Unasked()
        told, statement = await super()._introspect_types(typeoids, timeout)  # type: ignore[misc]
        if max(typeoids) < FIRST_ASSIGNED:
            _known.update(dict.fromkeys(typeoids, told))
        return told, statement
