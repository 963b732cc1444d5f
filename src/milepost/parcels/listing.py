"""Lists and searches of an account's parcels, page by page.

A page is a walk along one index from where the page before ended, never a count of rows to skip,
so that rows which come and go meanwhile move nothing else. What an index on words can find is
looked up first (``search_parcels``): few matches are sorted, many are met on the walk.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import orjson

from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.parcels.cursor import Place, cursor_of, place_of_cursor
from milepost.parcels.search import named_lexeme, search_query, whole_lexeme
from milepost.tracking.status import statuses_of
from milepost.tracking.vocabulary import Phase

MOST_SORTED = 5_000
"""Matches of a search up to which they are fetched and sorted; more are met on a walk."""
SORTS = ("created_at", "updated_at", "ended_at")


class ForeignCursor(ValueError):
    """The cursor is garbled, or was given for another list."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What parcels to list; empty parts say nothing. Times are UTC, the first one is included.

    ``text`` is searched by the beginnings of its words; ``source_id`` and ``order_number`` are
    compared as a whole.
    """

    statuses: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    carriers: tuple[str, ...] = ()
    from_countries: tuple[str, ...] = ()
    to_countries: tuple[str, ...] = ()
    active: bool | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    announced_from: datetime | None = None
    announced_to: datetime | None = None
    updated_from: datetime | None = None
    updated_to: datetime | None = None
    ended_from: datetime | None = None
    ended_to: datetime | None = None
    source_id: str | None = None
    order_number: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A page: which parcels, by what column (of ``SORTS``), from which end, how many."""

    filters: Filters
    sort: str = "created_at"
    descending: bool = True
    size: int = 50
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Parcel ids in order, and the cursor of the next page; ``""`` behind the last."""

    parcel_ids: tuple[int, ...]
    next_cursor: str


async def list_parcels(pool: Pool, account_id: int, asked: Asked) -> Page:
    """One page. Raises ForeignCursor."""
    bound_to = _identity(account_id, asked)
    after = None
    if asked.cursor:
        after = place_of_cursor(asked.cursor, bound_to)
        if after is None:
            raise ForeignCursor
    rows = await retrying(lambda: _rows(pool, account_id, asked, after))
    shown = rows[: asked.size]
    more = len(rows) > asked.size
    cursor = cursor_of(shown[-1], bound_to) if more else ""
    return Page(tuple(place.parcel_id for place in shown), cursor)


def _identity(account_id: int, asked: Asked) -> bytes:
    """What a cursor is bound to: all that decides which parcels come in which order."""
    named = {field.name: getattr(asked.filters, field.name) for field in fields(Filters)}
    return orjson.dumps([account_id, asked.sort, asked.descending, named])


async def _rows(pool: Pool, account_id: int, asked: Asked, after: Place | None) -> Sequence[Place]:
    async with tenant(pool, account_id) as connection:
        # The right plan depends on the values: how rare is this status, how old is that day.
        await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        query = page_query(account_id, asked, after)
        if asked.filters.text and not search_query(account_id, asked.filters.text):
            return ()
        if words := words_of(account_id, asked.filters):
            found = await _matching(connection, account_id, words)
            if not found:
                return ()
            query.match(words, found if len(found) <= MOST_SORTED else None)
        rows = await connection.fetch(query.sql(), *query.values)
    return [Place(row["at"], row["parcel_id"]) for row in rows]


async def _matching(connection: Connection, account_id: int, words: str) -> list[int]:
    rows = await connection.fetch(
        "SELECT parcel_id FROM search_parcels($1, $2::text::tsquery, $3) AS parcel_id",
        account_id,
        words,
        MOST_SORTED + 1,
    )
    return [row["parcel_id"] for row in rows]


def words_of(account_id: int, filters: Filters) -> str:
    """Everything that the words of a parcel can answer, as a ``tsquery``; ``""`` for nothing."""
    parts = [search_query(account_id, filters.text)]
    parts += [
        " | ".join(f"'{named_lexeme(account_id, name, code)}'" for code in codes)
        for name, codes in (
            ("carrier", filters.carriers),
            ("from", filters.from_countries),
            ("to", filters.to_countries),
        )
    ]
    parts += [
        f"'{lexeme}'"
        for code in (filters.source_id or "", filters.order_number)
        if (lexeme := whole_lexeme(account_id, code))
    ]
    return " & ".join(f"({part})" for part in parts if part)


class PageQuery:
    """A SELECT under construction. Columns come from this module alone, values are parameters."""

    def __init__(self, account_id: int, sort: str, *, descending: bool, most: int) -> None:
        """``sort`` is one of ``SORTS``."""
        if sort not in SORTS:
            raise ValueError(sort)
        self.values: list[Any] = [account_id]
        self._sort = sort
        self._descending = descending
        self._conditions = ["p.account_id = $1"]
        self._most = self._value(most)

    def where(self, condition: str, *values: Any) -> None:
        """Add a condition; each ``{}`` in it becomes the parameter of a value."""
        self._conditions.append(condition.format(*(self._value(value) for value in values)))

    def match(self, words: str, parcel_ids: Sequence[int] | None) -> None:
        """Only parcels with these words: the ones found already, or, of too many, each that has."""
        if parcel_ids is not None:
            self.where("p.parcel_id = ANY ({}::bigint[])", list(parcel_ids))
            return
        self.where(
            "EXISTS (SELECT FROM parcel_search s WHERE s.account_id = $1 "
            "AND s.parcel_id = p.parcel_id AND s.words @@ {}::text::tsquery)",
            words,
        )

    def sql(self) -> str:
        """The statement: ids and the sorted column of one page and one row more."""
        way = "DESC" if self._descending else "ASC"
        return (
            f"SELECT p.parcel_id, p.{self._sort} AS at FROM parcel p "
            f"WHERE {' AND '.join(self._conditions)} "
            f"ORDER BY p.{self._sort} {way}, p.parcel_id {way} LIMIT {self._most}"
        )

    def _value(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def page_query(account_id: int, asked: Asked, after: Place | None) -> PageQuery:
    """The statement of a page, but for words."""
    filters = asked.filters
    query = PageQuery(account_id, asked.sort, descending=asked.descending, most=asked.size + 1)
    for column, chosen in (
        ("status", filters.statuses or _statuses_of(filters.phases)),
        ("phase", filters.phases),
        ("exception", filters.exceptions),
        ("carrier_code", filters.carriers),
    ):
        if len(chosen) == 1:
            # Plain equality lets an index that ends in the sorted column give the order too.
            query.where(f"p.{column} = {{}}", chosen[0])
        elif chosen:
            query.where(f"p.{column} = ANY ({{}}::text[])", list(chosen))
    for column, first, end in (
        ("created_at", filters.created_from, filters.created_to),
        ("announced_at", filters.announced_from, filters.announced_to),
        ("updated_at", filters.updated_from, filters.updated_to),
        ("ended_at", filters.ended_from, filters.ended_to),
    ):
        if first is not None:
            query.where(f"p.{column} >= {{}}", first)
        if end is not None:
            query.where(f"p.{column} < {{}}", end)
    if filters.source_id is not None:
        query.where("p.source_id = {}", filters.source_id)
    if filters.order_number:
        query.where("p.request #>> '{{shipment,order,order_number}}' = {}", filters.order_number)
    if filters.active is not None:
        query.where("p.ended_at IS NULL" if filters.active else "p.ended_at IS NOT NULL")
    if asked.sort == "ended_at":
        query.where("p.ended_at IS NOT NULL")
    if after is not None:
        beyond = "<" if asked.descending else ">"
        query.where(
            f"(p.{asked.sort}, p.parcel_id) {beyond} ({{}}, {{}})", after.at, after.parcel_id
        )
    return query


def _statuses_of(phases: Sequence[str]) -> Sequence[str]:
    """Phases have no index of their own, statuses do: those that these phases can have."""
    asked = [phase for phase in Phase if phase in phases]
    return sorted(set().union(*map(statuses_of, asked)))
