"""Many parcels, fast: one parcel made by Milepost itself, copied by INSERT ... SELECT.

Whatever columns and tables the schema has are copied, so that what others add is measured too.
Only the first copies get documents with their own number in them: writing those and packing them is
two thirds of the work, and the others take theirs from the first ones, as long and as packed.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import asyncpg
import orjson

from bench.house import Database
from milepost import wiring
from milepost.api.problems import Problem
from milepost.api.v3_models import read_registration
from milepost.parcels.record import WatchPlan
from milepost.tracking.events import Moment, Observation, Place, Scan, ZoneSource
from milepost.tracking.parcel import Registration
from milepost.tracking.vocabulary import Phase, Reading

NUMBER = "3SBENCH"
"""The tracking numbers are this and nine digits."""
CARRIER = "dhl"
_ADDRESS = {
    "name": "Mira van der Veen",
    "company_name": None,
    "address_line_1": "Stadhuisplein",
    "house_number": "10",
    "postal_code": "5611EM",
    "city": "Eindhoven",
    "country_code": "NL",
    "phone_number": "+31401234567",
    "email": "mira@example.com",
}
_NEVER_COPIED = frozenset(
    {"outbox", "raw_payload", "idempotency_key", "audit", "erasure", "usage_mark"}
    | {"feed_event", "message", "told_status", "delivery", "delivery_attempt"}
)
"""What waits to be told of the one parcel, or happened to it alone, is no part of the others."""
_MANY = 5_000
_OWN_DOCUMENTS = 10_000
_AT_ONCE = 2
"""So many connections write large numbers of copies: as many as the machine has cores."""
_ONLY_LOOKED_FOR = frozenset({"tracked_number", "parcel_search", "event", "parcel_timing"})
"""What parcels do without that are only there to be claimed."""


def registration(number: str, carrier_code: str = CARRIER) -> str:
    """A registration as shops send them, with ``number`` also as its source_id."""
    document = {
        "announced_at": "2026-11-20T09:00:00Z",
        "source_id": f"order-{number}",
        "from_address": _ADDRESS | {"name": "Webshop", "company_name": "Webshop BV"},
        "to_address": _ADDRESS,
        "ship_with": {
            "type": "shipping_option_code",
            "properties": {"shipping_option_code": "dhl:parcel"},
        },
        "tracking_number": {"carrier_code": carrier_code, "tracking_number": NUMBER + number},
        "parcel_items": [
            {
                "description": "T-shirt, cotton",
                "quantity": 2,
                "weight": {"value": 0.3, "unit": "kg"},
                "price": {"value": "12.50", "currency": "EUR"},
                "hs_code": "610910",
                "origin_country": "NL",
                "sku": "TS-12-M",
            }
        ],
        "measurements": {"weight": {"value": 0.7, "unit": "kg"}},
        "shipment": {"order": {"order_number": number}},
    }
    return orjson.dumps(document).decode()


def registered(number: str, carrier_code: str = CARRIER) -> Registration:
    """The same as the API reads it."""
    read = read_registration(orjson.loads(registration(number, carrier_code)))
    if isinstance(read, Problem):
        raise RuntimeError(f"the registration is refused: {read.detail}")
    return read


def scan(place: int) -> Scan:
    """The scan in that place of a journey that does not end."""
    at = datetime(2026, 11, 20, 10, tzinfo=UTC) + timedelta(hours=3 * place)
    home = f"{at:%Y-%m-%dT%H:%M}"
    return Scan(
        scan_class=f"transit-{place}",
        raw_code="transit",
        raw_text=f"The shipment was processed in parcel center {place}",
        moment=Moment(at.isoformat(), at, home, "UTC", ZoneSource.CARRIER),
        reading=Reading(Phase.IN_TRANSIT if place else Phase.ACCEPTED),
        place=Place(city="Zwolle", country_code="NL"),
        position=place,
    )


def observation(first: int, last: int) -> Observation:
    """A carrier's answer with the scans from ``first`` to ``last``."""
    scans = tuple(scan(place) for place in range(first, last + 1))
    return Observation(CARRIER, "poll", datetime(2026, 11, 21, 12, tzinfo=UTC), scans, False)


async def make_template(database: Database, account_id: int, scans: int) -> int:
    """A parcel with so many scans and its finished answers; its id. Its number ends in zeros."""
    wanted = registered("0" * 9)
    async with wiring.core_parts(database.settings, "milepost_worker") as core:
        await core.registrar.register(account_id, wanted)
        parcel_id = await core.reader.parcel_id(account_id, wanted.tracking_number)
        assert parcel_id is not None
        seen = observation(0, scans - 1)
        due = WatchPlan(1, 3600.0, 0, "")
        await core.recorder.record(account_id, parcel_id, seen, seen.observed_at, lambda *_: due)
    return parcel_id


@dataclass(frozen=True, slots=True)
class Copies:
    """``count`` copies of the parcel ``template``, numbered from ``first``."""

    account_id: int
    template: int
    count: int
    first: int = 1
    events: int = 1
    """Of the template's events only so many are copied; what GET answers stays whole."""
    slim: bool = False
    """Without finished answers: rows that are only there to be claimed."""
    carrier_code: str = CARRIER
    owner: int = 0
    """The account they belong to, where it is another one than the template's."""
    due: str = "now() + interval '30 days'"
    like: int = 0
    """They take their documents from ``_OWN_DOCUMENTS`` copies from this one on; 0: their own."""

    def parts(self) -> tuple["Copies", list["Copies"]]:
        """Those with their own documents, and what can be copied beside each other after them."""
        own = replace(self, count=min(self.count, _OWN_DOCUMENTS))
        many = self.count - own.count
        # What is claimed lies in the order it is claimed in, as it does among few.
        beside = 1 if self.slim else _AT_ONCE
        bounds = [own.count + many * nth // beside for nth in range(beside + 1)]
        rest = [
            replace(self, first=self.first + start, count=end - start, like=self.first)
            for start, end in pairwise(bounds)
            if end > start
        ]
        return own, rest


async def copy(database: Database, *wanted: Copies) -> None:
    """Make them all, then ANALYZE."""
    connection = await database.connect()
    try:
        for copies in wanted:
            own, rest = copies.parts()
            await _copied(connection, own)
            if rest:
                # What is looked up for each of the others must be known to be many.
                await connection.execute("ANALYZE parcel")
                await asyncio.gather(*(_copied_beside(database, one) for one in rest))
            if copies.owner:
                await connection.execute(_LANE, copies.owner, copies.carrier_code)
        await connection.execute(
            "SELECT setval('parcel_parcel_id_seq', (SELECT max(parcel_id) FROM parcel))"
        )
        # Without statistics the first plans are for empty tables, and those are remembered.
        many = sum(copies.count for copies in wanted) >= _MANY
        await connection.execute("VACUUM ANALYZE" if many else "ANALYZE")
    finally:
        await connection.close()


async def _copied(connection: "asyncpg.Connection[asyncpg.Record]", copies: Copies) -> None:
    tables = [row["table_name"] for row in await connection.fetch(_TABLES)]
    for table in sorted(tables, key=lambda name: (name != "parcel", name)):
        if table not in _NEVER_COPIED and not (copies.slim and table in _ONLY_LOOKED_FOR):
            await connection.execute(await _statement(connection, table, copies))


async def _copied_beside(database: Database, copies: Copies) -> None:
    connection = await database.connect()
    try:
        # The first ones fit in, with their documents: nothing is read twice.
        await connection.execute("SET work_mem = '256MB'")
        await _copied(connection, copies)
    finally:
        await connection.close()


_LANE = "INSERT INTO lane (account_id, carrier_code, turn_at) VALUES ($1, $2, now())"
_TABLES = """
SELECT c.table_name FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND c.column_name = 'parcel_id' AND t.table_type = 'BASE TABLE'
"""
_COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER'
"""
_NUMBER = "lpad(n::text, 9, '0')"
_REPLACED = f"replace({{}}, repeat('0', 9), {_NUMBER})"


async def _statement(
    connection: "asyncpg.Connection[asyncpg.Record]", table: str, copies: Copies
) -> str:
    columns = [row["column_name"] for row in await connection.fetch(_COLUMNS, table)]
    values = [_value(table, column, copies) for column in columns]
    only = f"AND sequence <= {copies.events}" if table == "event" else ""
    source = f"{table} AS t"
    if table == "parcel" and copies.like:
        source += ", parcel AS first"
        only = (
            f"AND first.account_id = {copies.owner or copies.account_id} AND first.parcel_id = "
            f"{copies.template + copies.like} + (n - {copies.like}) % {_OWN_DOCUMENTS}"
        )
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
        f"FROM generate_series({copies.first}, {copies.first + copies.count - 1}) AS n, "
        f"{source} WHERE t.account_id = {copies.account_id} "
        f"AND t.parcel_id = {copies.template} {only}"
    )


def _value(table: str, column: str, copies: Copies) -> str:
    match table, column:
        case _, "account_id":
            return str(copies.owner or copies.account_id)
        case _, "parcel_id":
            return f"{copies.template} + n"
        case "parcel", "v3_answer" | "v2_answer":
            text = f"convert_from(t.{column}, 'UTF8')"
            whole = f"convert_to({_REPLACED.format(text)}, 'UTF8')"
            return "NULL" if copies.slim else f"first.{column}" if copies.like else whole
        case "parcel", "request" if copies.like:
            return "first.request"
        case "parcel", "request":
            return f"{_REPLACED.format('t.request::text')}::jsonb"
        case ("parcel", "tracking_number" | "source_id") | (_, "number_key"):
            return _REPLACED.format(f"t.{column}")
        case "parcel", "etag":
            return f"t.etag || {_NUMBER}"
        case "parcel_search", "words":
            return f"{_REPLACED.format('t.words::text')}::tsvector"
        case "watch", "due_at":
            return copies.due
        case _:
            return f"t.{column}"
