"""Many registrations at once, beside COPY of the rows they make."""

import asyncio
import csv
import io
import os
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

import asyncpg

from bench.clones import CARRIER, NUMBER, registration
from bench.house import Database, Merchant, Server, api_server, command
from bench.rows import Row, paired
from bench.run import Filled, Run

PATH = "/api/milepost/v1/parcels/batch"
_IN_A_BATCH = 1_000
_COLUMNS = ("tracking_number", "carrier_code", "announced_at", "source_id", "shipping_option_code")
_TABLES = ("parcel", "tracked_number", "event", "parcel_search", "watch", "outbox")
"""Where a registration leaves rows."""


async def rows(run: Run, main: Filled) -> list[Row]:
    """The API's batch, then the import of a file."""
    return await run.each(
        {
            "batch register": lambda: _batches(run, main.database),
            "CSV import": lambda: _import(run, main.database),
        }
    )


async def _batches(run: Run, database: Database) -> list[Row]:
    run.say("batch register beside COPY")
    ours, copies = [], []
    with api_server(database) as api:
        for turn in range(run.scale.batches + 1):
            merchant = await database.merchant(f"batch {turn}")
            body = _batch(turn * _IN_A_BATCH)
            started = time.perf_counter()
            answered = await asyncio.to_thread(_post, api, merchant, body)
            seconds = (time.perf_counter() - started) / _IN_A_BATCH
            count = await _registered(database, merchant)
            if count != _IN_A_BATCH:
                raise RuntimeError(f"{count} parcels were registered: {answered[:200]!r}")
            copied = await _copy(database, merchant, f"batch copy {turn}") / _IN_A_BATCH
            if turn:
                # The first one warms the server.
                ours.append(seconds)
                copies.append(copied)
    told = f"{1e6 * median(ours):.0f} us a row, COPY of its rows {1e6 * median(copies):.0f}"
    return [Row("batch register, of COPY's speed", paired(copies, ours), 0.2, told=told)]


async def _import(run: Run, database: Database) -> list[Row]:
    count = run.scale.import_rows
    run.say(f"importing {count:,} rows of CSV beside COPY")
    merchant = await database.merchant("importer")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "parcels.csv"
        file.write_text(_csv(count))
        words = ("import", str(file), "--account", "importer", "--json")
        started = time.perf_counter()
        process = subprocess.Popen(
            command(*words), env=database.environment, stdout=subprocess.DEVNULL
        )
        _, status, usage = await asyncio.to_thread(os.wait4, process.pid, 0)
        seconds = (time.perf_counter() - started) / count
        process.returncode = os.waitstatus_to_exitcode(status)
    stored = await _registered(database, merchant)
    if process.returncode != 0 or stored != count:
        raise RuntimeError(f"milepost import stored {stored} and exited {process.returncode}")
    copied = await _copy(database, merchant, "copied") / count
    rate, share = 1 / seconds, copied / seconds
    memory = usage.ru_maxrss * 1024 / 1e6
    told = f"{share:.2f} of COPY's speed ({1 / copied:,.0f}/s); enough: 5,000/s or half of COPY"
    limit = 5_000.0 if share < 0.5 else rate
    return [
        Row("CSV import", rate, limit, "rows/s", told=told),
        Row("memory of the CSV import", memory, 200, "MB", at_most=True),
    ]


def _batch(first: int) -> bytes:
    rows = [registration(f"{800_000_000 + first + place:09}") for place in range(_IN_A_BATCH)]
    return "\n".join(rows).encode()


def _csv(count: int) -> str:
    lines = io.StringIO()
    address = ("postal_code", "city", "country_code", "name")
    ends = [f"{side}_{name}" for side in ("from", "to") for name in address]
    writer = csv.writer(lines)
    writer.writerow([*_COLUMNS, *ends])
    where = ["5611EM", "Eindhoven", "NL", "Mira van der Veen"]
    for number in range(900_000_000, 900_000_000 + count):
        own = [f"{NUMBER}{number}", CARRIER, "2026-11-20T09:00:00Z", f"order-{number}"]
        writer.writerow([*own, "dhl:parcel", *where, *where])
    return lines.getvalue()


def _post(api: Server, merchant: Merchant, body: bytes) -> bytes:
    headers = {"authorization": merchant.authorization, "content-type": "application/x-ndjson"}
    request = urllib.request.Request(f"http://127.0.0.1:{api.port}{PATH}", body, headers)
    with urllib.request.urlopen(request, timeout=300) as answer:
        told: bytes = answer.read()
    return told


async def _registered(database: Database, merchant: Merchant) -> int:
    connection = await database.connect()
    try:
        query = "SELECT count(*) FROM parcel WHERE account_id = $1"
        return int(await connection.fetchval(query, merchant.account_id))
    finally:
        await connection.close()


async def _copy(database: Database, merchant: Merchant, name: str) -> float:
    """Seconds that COPY takes for an account's rows, once more under another account."""
    other = await database.merchant(name)
    reading = await database.connect()
    writing = await asyncpg.connect(database.dsn)
    try:
        tables = {table: await _rows_of(reading, table, merchant, other) for table in _TABLES}
        started = time.perf_counter()
        async with writing.transaction():
            for table, (columns, rows) in tables.items():
                source = io.BytesIO(rows)
                await writing.copy_to_table(table, source=source, columns=columns, format="binary")
        return time.perf_counter() - started
    finally:
        await reading.close()
        await writing.close()


async def _rows_of(
    connection: "asyncpg.Connection[asyncpg.Record]", table: str, of: Merchant, to: Merchant
) -> tuple[list[str], bytes]:
    found = await connection.fetch(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER'",
        table,
    )
    columns = [row["column_name"] for row in found]
    values = [_copied(column, to) for column in columns]
    rows = io.BytesIO()
    query = f"SELECT {', '.join(values)} FROM {table} WHERE account_id = {of.account_id}"
    await connection.copy_from_query(query, output=rows, format="binary")
    return columns, rows.getvalue()


def _copied(column: str, to: Merchant) -> str:
    return f"{to.account_id}::bigint" if column == "account_id" else column
