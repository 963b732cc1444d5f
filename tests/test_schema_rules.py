"""The SQL keeps to the rules that let the database be spread over machines by account."""

import asyncpg
import pytest
from tests.sharding_rules import (
    ABOUT_SCHEMA,
    ABOUT_STATEMENTS,
    OTHER_INDEXES,
    PLATFORM,
    TENANT,
    faults,
)
from tests.sql_reading import all_statements, migration, query_file

# Statements that look over all accounts on purpose. Shrinking, like any exception.
OVER_ACCOUNTS = {
    "accounts: list_accounts": "the operator's command line",
    "accounts: find_accounts": "the operator's command line",
    "accounts: wake_lanes": "an operator's credential serves every account's lane",
    "accounts: raise_every_epoch": "and changes what every account's parcels show",
    "monitoring: due-lanes": "whose turn is it: reads without a lock, by the one index for it",
    "monitoring: due-deadlines": "whose deadline has passed, as above",
    "monitoring: unplanned-lanes": "after an upgrade, once, the lanes of the version before",
    "monitoring: closed-lanes": "the sweep that repairs lanes, page by page in key order",
    "monitoring: open-lanes": "the sweep that repairs lanes, page by page in key order",
    "monitoring: end-rests": "the operator resumes a carrier for every account",
    "monitoring: lane-count": "what /metrics and doctor tell the operator",
    "monitoring: deadline-age": "what /metrics and doctor tell the operator",
    "0009_monitoring.sql: lane_ages": "what /metrics and doctor tell the operator, bounded",
    "0009_monitoring.sql: outbox_age": "what /metrics and doctor tell the operator, bounded",
    "intake: due_turns": "who was told something: as whose turn it is",
    "intake: accounts_told": "what is kept of whom, page by page",
    "intake: accounts_of_lanes": "whose parcels a carrier's feed is about, page by page",
    "0032_intake.sql: intake_ages": "what /metrics and doctor tell the operator, bounded",
    "notifications: due": "whether anybody is to be told anything, and nothing of whom",
    "notifications: few": "who is to be told something, and where it stands: ids alone",
    "notifications: due_lanes": "whose subscriber is to be told something: as whose turn it is",
    "notifications: telling": "what is kept of whom, page by page",
    "notifications: accounts_connected": "whose deleted connections are gone through, page by page",
    "0046_notifications.sql: outbox_accounts": "who is to be told something: account ids alone",
    "notifications: connection_states": "what /metrics and doctor tell the operator",
    "0054_notifications.sql: delivery_ages": "what /metrics and doctor tell the operator, bounded",
    "0061_notifications.sql: delivery_ages": "as above",
    "accounts: suspended": "whom the operator has suspended: account ids alone",
    "notifications: unfinished": "where much is still to be given up: as whose turn it is",
    "notifications: shut_accounts": "who was suspended, to see whether that is lifted: ids alone",
    "parcels: all-hours": "the operator sees how a carrier does for all",
    "parcels: accounts-with-parcels": "whose parcels are gone through, page by page",
}

ORDERLY = """
CREATE TABLE parcel (
    account_id bigint NOT NULL, parcel_id bigserial, at timestamptz,
    PRIMARY KEY (account_id, parcel_id)
);
CREATE TABLE event (
    account_id bigint NOT NULL, parcel_id bigint NOT NULL, sequence integer,
    PRIMARY KEY (account_id, parcel_id, sequence),
    FOREIGN KEY (account_id, parcel_id) REFERENCES parcel (account_id, parcel_id)
);
CREATE INDEX event_lookup ON event (account_id, sequence);
CREATE TABLE lane (account_id bigint PRIMARY KEY, turn_at timestamptz);
CREATE INDEX lane_turn ON lane (turn_at);
CREATE FUNCTION read(p_account bigint) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    WITH mine AS (SELECT e.parcel_id FROM event e WHERE e.account_id = p_account)
    SELECT p.parcel_id FROM mine m
    JOIN parcel p ON p.account_id = p_account AND p.parcel_id = m.parcel_id;
END $$;
UPDATE parcel SET at = now() WHERE account_id = 1;
"""


def test_migrations_and_queries_keep_the_rules() -> None:
    found = faults(all_statements(), ABOUT_SCHEMA + ABOUT_STATEMENTS)
    excused = tuple(f"{where}: asks" for where in OVER_ACCOUNTS)
    assert [fault for fault in found if not fault.startswith(excused)] == []
    assert [where for where in OVER_ACCOUNTS if not any(f"{where}: asks" in f for f in found)] == []


def test_orderly_sql_passes() -> None:
    assert faults(migration(ORDERLY), ABOUT_SCHEMA + ABOUT_STATEMENTS) == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("CREATE TABLE note (account_id bigint PRIMARY KEY)", "note is in neither list of tables"),
        ("CREATE TABLE event (account_id bigint, n bigserial PRIMARY KEY)", "a key starts with n"),
        ("CREATE TABLE event (account_id bigint)", "event has no primary key"),
        (
            "CREATE TABLE event (n int, account_id bigint PRIMARY KEY)",
            "event does not start with account_id",
        ),
        (
            "CREATE TABLE event (account_id bigint PRIMARY KEY, key text UNIQUE)",
            "a key starts with key",
        ),
        (
            "CREATE TABLE event (account_id bigint PRIMARY KEY, n bigint REFERENCES parcel (n))",
            "a key starts with n",
        ),
        (
            "CREATE TABLE event (account_id bigint PRIMARY KEY REFERENCES host_route (host))",
            "a foreign key points at host_route",
        ),
        (
            "CREATE TABLE host_route (account_id bigint PRIMARY KEY)",
            "is a platform table with an account_id",
        ),
        ("CREATE INDEX slow ON event (sequence)", "index slow starts with sequence"),
        ("CREATE UNIQUE INDEX lane_turn ON lane (turn_at)", "index lane_turn starts with turn_at"),
        ("CREATE INDEX other ON lane (turn_at)", "index other starts with turn_at"),
        (
            "CREATE TABLE event (account_id bigint PRIMARY KEY,"
            " n bigint GENERATED ALWAYS AS IDENTITY)",
            "event.n is an identity column",
        ),
        (
            "CREATE TABLE event (account_id serial PRIMARY KEY)",
            "event.account_id is a small sequence",
        ),
        ("ALTER TABLE event ADD COLUMN at timestamp", "timestamp has no time zone"),
        ("SELECT now()::timestamp", "timestamp has no time zone"),
        (
            "CREATE TRIGGER t AFTER INSERT ON event EXECUTE FUNCTION f()",
            "CreateTrigStmt is not for us",
        ),
        ("CREATE RULE r AS ON INSERT TO event DO NOTHING", "RuleStmt is not for us"),
        (
            "DO $$ BEGIN PERFORM pg_advisory_xact_lock(1); END $$",
            "pg_advisory_xact_lock does not reach other machines",
        ),
        (
            "UPDATE parcel SET at = clock_timestamp() WHERE account_id = 1",
            "clock_timestamp() in an UPDATE",
        ),
        (
            "INSERT INTO event (account_id, n) VALUES (1, (SELECT 1))",
            "a subquery in INSERT INTO event ... VALUES",
        ),
        (
            "SELECT 1 FROM parcel p, host_route WHERE p.account_id = 1",
            "names ['parcel'] and ['host_route'] together",
        ),
        ("SELECT 1 FROM parcel WHERE parcel_id = 1", "asks ['parcel'] without account_id ="),
        ("DELETE FROM parcel", "asks ['parcel'] without account_id ="),
        (
            "UPDATE parcel SET at = now() WHERE account_id = 1 OR parcel_id = 2",
            "asks ['parcel'] without account_id =",
        ),
        (
            "SELECT 1 FROM parcel p WHERE p.account_id = 1 AND EXISTS (SELECT 1 FROM event)",
            "asks ['event'] without account_id =",
        ),
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
            " IF EXISTS (SELECT 1 FROM parcel FOR UPDATE) THEN RETURN; END IF; END $$",
            "f: asks ['parcel'] without account_id =",
        ),
    ],
)
def test_each_rule_bites(planted: str, fault: str) -> None:
    found = faults(migration(planted), ABOUT_SCHEMA + ABOUT_STATEMENTS)
    assert any(fault in line for line in found), found


def test_a_rooms_query_is_judged_too() -> None:
    planted = query_file(
        "-- name: all_of_it\nSELECT 1 FROM parcel WHERE number = :number;", "parcels"
    )
    found = faults(planted, ABOUT_STATEMENTS)
    assert found == ["parcels: all_of_it: asks ['parcel'] without account_id ="]


# What PostgreSQL itself says of the migrated database: sees through dynamic SQL too. ----

CATALOG_FAULTS = {
    "row-level security is not forced": """
        SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
        AND c.relname = ANY($1) AND NOT (c.relrowsecurity AND c.relforcerowsecurity)""",
    "has no policy on the account": """
        SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
        AND c.relname = ANY($1) AND NOT EXISTS (
            SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polroles = '{0}'
            AND pg_get_expr(p.polqual, c.oid) LIKE '%account_id = %NULLIF%milepost.account_id%')""",
    "has a unique index that does not start with account_id": """
        SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE c.relname = ANY($1) AND a.attname <> 'account_id'
        AND (i.indisunique OR i.indexrelid::regclass::text <> ALL ($2))""",
    "is a part that somebody may read past the table's policy": """
        SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.rolname LIKE 'milepost\\_%'
        WHERE c.relispartition AND c.relkind = 'r'
        AND has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')""",
    "has a trigger": """
        SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal""",
    "has an identity column or a time without zone": """
        SELECT attrelid::regclass::text || '.' || attname FROM pg_attribute
        JOIN pg_class c ON c.oid = attrelid WHERE c.relnamespace = 'public'::regnamespace
        AND attnum > 0
        AND (attidentity <> '' OR atttypid IN ('timestamp'::regtype, 'time'::regtype))""",
    "acts as owner, superuser or past row-level security": """
        SELECT r.rolname FROM pg_roles r WHERE r.rolname LIKE 'milepost\\_%' AND (
            r.rolsuper OR r.rolbypassrls OR r.rolcanlogin
            OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid))""",
    "sees or writes rows through a function with its owner's rights": """
        SELECT p.proname FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
        AND p.proname <> ALL (
            '{make_raw_payload_months,drop_raw_payload_months,search_parcels,'
            'make_delivery_attempt_months,drop_delivery_attempt_months}')""",
}


async def catalog_faults(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        tables = {
            row[0]
            for row in await connection.fetch(
                "SELECT relname FROM pg_class"
                " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
                " AND NOT relispartition"
            )
        }
        found = [f"{name} is in neither list" for name in sorted(tables - TENANT - PLATFORM)]
        found += [f"{name} does not exist" for name in sorted((TENANT | PLATFORM) - tables)]
        for fault, query in CATALOG_FAULTS.items():
            values = [list(TENANT), list(OTHER_INDEXES)][: query.count("$1") + query.count("$2")]
            found += [f"{row[0]} {fault}" for row in await connection.fetch(query, *values)]
        return found
    finally:
        await connection.close()


async def test_the_migrated_database_keeps_the_rules(dsn: str) -> None:
    assert await catalog_faults(dsn) == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("ALTER TABLE event NO FORCE ROW LEVEL SECURITY", "event row-level security is not forced"),
        ("ALTER TABLE event DISABLE ROW LEVEL SECURITY", "event row-level security is not forced"),
        ("DROP POLICY own_account ON event", "event has no policy on the account"),
        (
            "GRANT SELECT ON raw_payload_rest TO milepost_app",
            "raw_payload_rest is a part that somebody may read past the table's policy",
        ),
        (
            "DO $$ BEGIN EXECUTE 'CREATE UNIQUE INDEX u ON event (event_key)'; END $$",
            "u has a unique index that does not start with account_id",
        ),
        (
            "ALTER TABLE event ADD COLUMN at timestamp",
            "event.at has an identity column or a time without zone",
        ),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            "CREATE TRIGGER t AFTER INSERT ON event EXECUTE FUNCTION f()",
            "event has a trigger",
        ),
        (
            "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            "f sees or writes rows through a function with its owner's rights",
        ),
        ("CREATE TABLE stray (n bigint)", "stray is in neither list"),
    ],
)
async def test_each_catalog_rule_bites(dsn: str, planted: str, fault: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(planted)
    await connection.close()
    assert fault in await catalog_faults(dsn)
