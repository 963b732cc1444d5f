"""The finished schema, locks, accounts, retries: each rule holds, and bites where it is broken."""

import ast
import re

import pytest
from tests.cluster_rules import (
    CLUSTER_RULES,
    SCHEMA,
    account_functions,
    not_sent_whole,
    schema_faults,
    statements_in_python,
    statements_in_queries,
)
from tests.retry_rules import Source, python_sources, read, unguarded
from tests.sharding_rules import faults
from tests.sql_reading import SOURCE, all_statements, migration, parsed
from tests.test_schema_rules import OVER_ACCOUNTS

# Beside those that look over accounts, one that acts for each of several in turn.
FUNCTIONS_OVER_ACCOUNTS = {where.split(": ")[1] for where in OVER_ACCOUNTS} | {"feed_heads"}

# Also asked on the connection of a caller's transaction, which the caller repeats.
LENT = {"parcels/stored.py load", "parcels/documents.py _checks"}
# What says BEGIN itself. Everybody else's transactions are of one account: db.pool.tenant.
OWN_TRANSACTIONS = {
    "db/pool.py",
    "db/commit_faults.py",
    "checkup/standing.py",  # reads only
    "cli/metrics_port.py",  # reads only
}


def excused(fault: str) -> bool:
    return any(f": {name}:" in fault for name in FUNCTIONS_OVER_ACCOUNTS)


def test_the_schema_as_a_whole_keeps_the_rules() -> None:
    assert [fault for fault in schema_faults(SCHEMA.read_text()) if not excused(fault)] == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("CREATE TABLE stray (account_id bigint)", "stray is in neither list of tables"),
        ("CREATE TABLE event (n int, account_id bigint)", "event does not start with account_id"),
        ("CREATE TABLE event (account_id bigint)", "event has no primary key"),
        (
            "CREATE TABLE event (account_id bigint, n bigint);"
            "ALTER TABLE ONLY event ADD CONSTRAINT k PRIMARY KEY (n)",
            "event: a key starts with ['n']",
        ),
        (
            "CREATE TABLE event (account_id bigint PRIMARY KEY, n bigint);"
            "ALTER TABLE event ADD CONSTRAINT k UNIQUE (n, account_id)",
            "event: a key starts with ['n']",
        ),
        (
            "CREATE TABLE event (account_id bigint PRIMARY KEY);"
            "ALTER TABLE event ADD FOREIGN KEY (account_id) REFERENCES host_route (host)",
            "event: a foreign key points at host_route",
        ),
        (
            "CREATE TABLE host_route (host text PRIMARY KEY);"
            "ALTER TABLE host_route ADD FOREIGN KEY (host) REFERENCES parcel (n)",
            "host_route is a platform table with a foreign key",
        ),
        ("CREATE INDEX slow ON event USING btree (sequence)", "index slow starts with sequence"),
        (
            "UPDATE watch SET due_at = clock_timestamp() WHERE account_id = 1",
            "clock_timestamp() in an UPDATE",
        ),
    ],
)
def test_each_fault_of_a_schema_is_seen(planted: str, fault: str) -> None:
    assert any(fault in found for found in schema_faults(planted)), schema_faults(planted)


def test_locks_and_accounts_keep_the_rules() -> None:
    found = faults(all_statements(), CLUSTER_RULES)
    assert [fault for fault in found if not excused(fault)] == []


def function(body: str) -> str:
    return (
        "CREATE FUNCTION f(p_account bigint) RETURNS void LANGUAGE plpgsql AS $$"
        f" DECLARE other bigint; BEGIN {body}; END $$"
    )


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("SELECT 1 FROM parcel FOR UPDATE", "locks ['parcel'] without one constant account"),
        (
            "SELECT 1 FROM parcel p JOIN account a ON p.account_id = a.account_id FOR UPDATE",
            "without one constant account",
        ),
        ("SELECT 1 FROM lane WHERE account_id = ANY ($1) FOR UPDATE", "without one constant"),
        ("SELECT 1 FROM lane WHERE account_id = $1 OR turn_at < $2 FOR UPDATE", "without one"),
        (
            "WITH old AS (SELECT 1 FROM lane WHERE account_id > $1 FOR UPDATE SKIP LOCKED)"
            " DELETE FROM lane WHERE account_id = $1",
            "without one constant account",
        ),
        (
            function("PERFORM set_config('milepost.account_id', other::text, true)"),
            "sets another account than its argument",
        ),
        (
            function("PERFORM set_config('milepost.account_id', p_account::text, false)"),
            "for longer than its transaction",
        ),
    ],
)
def test_each_fault_of_a_lock_or_an_account_is_seen(planted: str, fault: str) -> None:
    found = faults(migration(planted), CLUSTER_RULES)
    assert any(fault in line for line in found), found


def test_a_lock_on_one_account_passes() -> None:
    orderly = function(
        "PERFORM set_config('milepost.account_id', p_account::text, true);"
        " PERFORM 1 FROM lane l WHERE l.account_id = p_account AND l.turn_at < now() FOR UPDATE"
    )
    assert faults(migration(orderly), CLUSTER_RULES) == []


# Functions are sent to where their account's rows are ------------------------------------------


def test_calls_have_the_form_that_is_sent_whole() -> None:
    hot = account_functions(migration(SCHEMA.read_text(), "schema.sql"))
    assert len(hot) > 20
    asked = [*statements_in_python(python_sources(SOURCE)), *statements_in_queries()]
    assert sum(bool(re.search("|".join(hot), str(tree))) for _, tree in asked) > 10
    assert [fault for where, tree in asked for fault in not_sent_whole(where, tree, hot)] == []


@pytest.mark.parametrize(
    "planted",
    [
        "SELECT * FROM hot($1) WHERE status = 'x'",
        "SELECT hot($1), 1",
        "SELECT hot($1) FROM parcel",
        "SELECT * FROM hot($1) JOIN parcel ON true",
        "SELECT hot($1) + 1",
        "SELECT hot(nextval('s'))",
        "SELECT hot((SELECT 1))",
    ],
)
def test_a_call_that_stays_on_the_coordinator_is_seen(planted: str) -> None:
    assert list(not_sent_whole("x", parsed(planted), {"hot"}))


def test_calls_that_are_sent_pass() -> None:
    for sql in ("SELECT hot($1, $2)", "SELECT a, b FROM hot($1) ORDER BY a", "SELECT cold($1)"):
        assert list(not_sent_whole("x", parsed(sql), {"hot"})) == []


# Python: who asks, under what ------------------------------------------------------------------


def of(*texts: str) -> Source:
    return read([(f"m{n}.py", text) for n, text in enumerate(texts)])


def test_every_statement_is_repeated_when_postgresql_asks_for_that() -> None:
    assert list(unguarded(read(python_sources(SOURCE)), LENT)) == []


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("async def f(pool):\n await pool.execute('x')", True),
        ("async def f(self):\n await self._pool.fetchval('x')", True),
        ("async def f(pool):\n async with tenant(pool, 1) as c:\n  await c.execute('x')", True),
        ("async def f(pool):\n await statements.add(pool, name=1)", True),
        ("async def f(pool):\n await retrying(lambda: pool.execute('x'))", False),
        (
            "async def f(pool):\n async def w():\n  await pool.execute('x')\n await retrying(w)",
            False,
        ),
        ("async def f(pool):\n async def w():\n  await pool.execute('x')\n await w()", True),
        (
            "async def _w(pool):\n await pool.execute('x')\n"
            "async def f(pool):\n await retrying(lambda: _w(pool))\n await _w(pool)",
            True,
        ),
        (
            "async def _w(pool):\n await pool.execute('x')\n"
            "async def f(pool):\n await retrying(lambda: _w(pool))",
            False,
        ),
        ("async def f(conn):\n await conn.execute('x')", False),
    ],
)
def test_a_statement_that_is_not_repeated_is_seen(text: str, seen: bool) -> None:
    assert bool(list(unguarded(of(text)))) is seen


def test_a_function_is_safe_only_if_every_caller_is() -> None:
    home = "async def write(pool):\n await pool.execute('x')"
    guarded = "from milepost.m0 import write\nasync def f():\n await retrying(lambda: write(1))"
    bare = "from milepost.m0 import write\nasync def f():\n await write(1)"
    namesake = "from milepost.other import write\nasync def f():\n await write(1)"
    assert list(unguarded(of(home, guarded, namesake))) == []
    assert list(unguarded(of(home, guarded, bare))) != []


def test_what_is_lent_a_connection_is_repeated_wherever_it_has_a_pool() -> None:
    home = "async def load(pool):\n await pool.fetch('x')"
    call = "from milepost.m0 import load\nasync def f():\n await {}"
    for text, seen in (
        (call.format("load(conn)"), False),
        (call.format("retrying(lambda: load(core.pool))"), False),
        # Patience with a database that is away repeats no serialization error.
        (call.format("patiently(lambda: load(core.pool))"), True),
        (call.format("patiently(lambda: retrying(lambda: load(core.pool)))"), False),
    ):
        assert bool(list(unguarded(of(home, text), {"m0.py load"}))) is seen, text
    assert list(unguarded(of(home, call.format("load(conn)")))), "nobody said it may be lent"


def test_no_transaction_spans_two_accounts() -> None:
    assert [place.where for place in read(python_sources(SOURCE)).nested] == []


@pytest.mark.parametrize(
    "text",
    [
        "async def f():\n async with tenant(p, 1) as a:\n  async with tenant(p, 2) as b: pass",
        "async def f():\n async with tenant(p, 1) as a, tenant(p, 2) as b: pass",
    ],
)
def test_a_transaction_inside_another_is_seen(text: str) -> None:
    assert of(text).nested
    assert not of("async def f():\n async with tenant(p, 1) as a: pass").nested


def own_transactions(text: str) -> bool:
    """Whether a module opens transactions by itself."""
    for node in ast.walk(ast.parse(text)):
        call = node.func if isinstance(node, ast.Call) else None
        said = node.value if isinstance(node, ast.Constant) else None
        if isinstance(call, ast.Attribute) and call.attr == "transaction":
            return True
        if isinstance(said, str) and re.match(r"(BEGIN|START TRANSACTION)\b", said):
            return True
    return False


def test_transactions_are_those_of_one_account() -> None:
    sources = python_sources(SOURCE)
    assert {module for module, text in sources if own_transactions(text)} <= OWN_TRANSACTIONS
    assert own_transactions("c.execute('BEGIN; SET x')")
    assert own_transactions("async def f(c):\n async with c.transaction(): pass")


# Notifications ----------------------------------------------------------------------------------

HINTS = re.compile(r"\bpg_notify\b|\bLISTEN\s+[a-z\"]|\bNOTIFY\s+[a-z\"]|\badd_listener\b")


def test_nothing_waits_for_a_notification() -> None:
    """Work is found by asking: LISTEN reaches one node only, and a hint may always be lost."""
    texts = {path: path.read_text() for path in SOURCE.rglob("*") if path.suffix in (".py", ".sql")}
    assert [str(path) for path, text in texts.items() if HINTS.search(text)] == []
    for planted in ("NOTIFY work", "SELECT pg_notify('a', 'b')", "LISTEN work", "c.add_listener("):
        assert HINTS.search(planted)
