"""Many parcels like one that was registered, each with its first event and its next check."""

import asyncpg

TABLES = ("parcel", "event", "tracked_number", "watch")
NUMBER = "JVGL6{:013}"
"""The number of copy ``n``."""


async def pile_up(
    connection: "asyncpg.Connection[asyncpg.Record]", number: str, count: int, due: str = "now()"
) -> int:
    """Copies of the parcel with that number: ``n`` has the id returned + n, and is due at ``due``.

    ``n`` is 1 to ``count``.
    """
    (row,) = await connection.fetch(
        "SELECT parcel_id, (SELECT max(parcel_id) FROM parcel) FROM parcel"
        " WHERE tracking_number = $1",
        number,
    )
    parcel, last = row
    for table in TABLES:
        changed = f"jsonb_build_object('parcel_id', {last} + n"
        if table in ("parcel", "tracked_number"):
            column = "tracking_number" if table == "parcel" else "number_key"
            changed += f", '{column}', 'JVGL6' || lpad(n::text, 13, '0')"
        if table == "parcel":
            # Answers are rendered when they are read first.
            changed += f", 'source_id', 'pile-{parcel}-' || n, 'v3_answer', NULL, 'v2_answer', NULL"
        if table == "watch":
            changed += f", 'due_at', {due}"
        kind = " AND t.kind = 'number'" if table == "tracked_number" else ""
        await connection.execute(
            # In FROM: written as (function).* it would be called once for each column.
            f"INSERT INTO {table} SELECT copied.*"
            f" FROM {table} t, generate_series(1, {count}) AS n,"
            f" LATERAL jsonb_populate_record(t, {changed})) AS copied"
            f" WHERE t.parcel_id = {parcel}{kind}"
        )
        # Whether a row's parcel is there would be looked up in all of them, one after the other.
        await connection.execute(f"ANALYZE {table}")
    await connection.execute(
        "SELECT setval('parcel_parcel_id_seq', (SELECT max(parcel_id) FROM parcel));"
        "UPDATE lane SET turn_at = now()"
    )
    return int(last)
