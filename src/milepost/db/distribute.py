"""Spreads the database over the machines of a Citus cluster, by account.

What is to be done is read from the database itself: a table whose first column is ``account_id``
is a tenant's and becomes distributed, every other one stays on the coordinator; a function whose
first argument is the account runs where that account's rows are. ``docs/adr`` has the reasons.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TypeAlias

import asyncpg

from milepost.db.migrate import migration_lock
from milepost.errors import ConfigurationError

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# Every other tenant table lies beside this one, shard for shard.
ROOT = "account"
ACCOUNT_ARGUMENT = re.compile(r"p_account(_id)?")
ROLES = ("milepost_app", "milepost_worker", "milepost_admin")
# Row-level security, and functions called in FROM that run where the rows are.
OLDEST_CITUS = 11

_TABLES = """
SELECT c.relname FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1 AND a.attname = 'account_id'
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname
"""
_REFERENCES = """
SELECT k.conrelid::regclass::text AS source, k.confrelid::regclass::text AS target
FROM pg_constraint k
WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND k.conrelid <> k.confrelid
"""
_FUNCTIONS = """
SELECT p.proname AS name, p.oid::regprocedure::text AS signature, p.prosrc AS source,
       coalesce(p.proargnames[1], '') AS first_name,
       coalesce(p.proargtypes[0], 0) = 'bigint'::regtype AS first_is_bigint
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
ORDER BY signature
"""

_SETTING = """DO $do$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET citus.propagate_set_commands = local',
                   current_database());
END $do$"""
_SETTING_DONE = """
SELECT EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
               WHERE d.datname = current_database() AND s.setrole = 0
                 AND 'citus.propagate_set_commands=local' = ANY (s.setconfig))
"""
# A node asks another as the role that acts, so that row-level security holds there too: it must
# be able to log in. Without a password it can only where pg_hba.conf says so.
_ROLES = """SELECT nodeid, success, result FROM run_command_on_all_nodes($cmd$DO $do$
DECLARE
    acting text;
BEGIN
    FOREACH acting IN ARRAY ARRAY[{roles}] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = acting) THEN
            EXECUTE format('CREATE ROLE %I', acting);
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = acting AND rolcanlogin) THEN
            EXECUTE format('ALTER ROLE %I LOGIN', acting);
        END IF;
    END LOOP;
END $do$$cmd$)"""
_TABLE_DONE = "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = '{0}'::regclass)"
_FUNCTION_DONE = """
SELECT EXISTS (SELECT FROM pg_dist_object WHERE classid = 'pg_proc'::regclass
               AND objid = '{0}'::regprocedure{1})
"""
_LOCAL_DONE = """
SELECT pg_relation_size('{0}') + coalesce(
    (SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree('{0}')), 0) = 0
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement, and a query that says true when it need not run."""

    sql: str
    done: str


async def plan(connection: Connection, shards: int) -> list[Step]:
    """Everything that spreads this database, in order; the same with and without Citus."""
    tables = _parents_first(
        [row["relname"] for row in await connection.fetch(_TABLES)],
        await connection.fetch(_REFERENCES),
    )
    roles = ", ".join(f"'{role}'" for role in ROLES)
    steps = [Step(_SETTING, _SETTING_DONE), Step(_ROLES.format(roles=roles), "SELECT false")]
    steps += [_table(name, shards) for name in tables]
    steps += _functions(await connection.fetch(_FUNCTIONS))
    return steps + [_cleared(name) for name in tables]


async def pending(connection: Connection, shards: int) -> list[Step]:
    """What of the plan is still to be done; all of it where there is no Citus."""
    steps = await plan(connection, shards)
    if await citus_version(connection) is None:
        return steps
    return [step for step in steps if not await _is_done(connection, step)]


async def distribute(dsn: str, shards: int) -> list[str]:
    """Runs what is pending; the statements that ran.

    Each is a transaction of its own, so it can be repeated after a failure. Raises
    ConfigurationError where this is no Citus coordinator that may hold our rows.
    """
    ran = []
    async with migration_lock(dsn) as connection:
        await _check(connection)
        for step in await plan(connection, shards):
            if await _is_done(connection, step):
                continue
            for row in await connection.fetch(step.sql):
                if row.get("success") is False:
                    raise ConfigurationError(f"node {row['nodeid']} refused: {row['result']}")
            ran.append(step.sql)
    return ran


async def check_complete(dsn: str) -> None:
    """Refuses a half distributed database: a migration came with tables or functions of its own.

    A function that is not known to Citus would run on the coordinator, where row-level security
    hides every row from it. Raises ConfigurationError; without Citus, or before the first
    ``distribute``, there is nothing to refuse.
    """
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "public"})
    try:
        if await citus_version(connection) is None:
            return
        if not await connection.fetchval(_TABLE_DONE.format(ROOT)):
            return
        left = [step for step in await pending(connection, 1) if "create_distributed" in step.sql]
    finally:
        await connection.close()
    if left:
        raise ConfigurationError(
            f"the database is distributed, but {len(left)} of its tables or functions are not: "
            "run milepost db distribute"
        )


async def citus_version(connection: Connection) -> str | None:
    """The version of Citus in this database, None where it has none."""
    version: str | None = await connection.fetchval(
        "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
    )
    return version


async def _check(connection: Connection) -> None:
    version = await citus_version(connection)
    if version is None:
        raise ConfigurationError(
            "this database has no Citus, there is nothing to distribute it over: "
            "docs/operating.md says when that is the step to take"
        )
    if int(version.split(".")[0].split("-")[0]) < OLDEST_CITUS:
        raise ConfigurationError(f"this is Citus {version}; {OLDEST_CITUS} or newer is needed")
    if await connection.fetchval("SELECT groupid FROM pg_dist_local_group") != 0:
        raise ConfigurationError("this is a worker node of Citus: connect to the coordinator")
    nodes = "SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards"
    if await connection.fetchval(nodes) == 0:
        raise ConfigurationError("no node of Citus may hold shards: add one with citus_add_node")
    free = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    if not await connection.fetchval(free):
        # Rows are copied as this login, and forced row-level security would hide them from it.
        raise ConfigurationError("distributing needs a login that is a superuser or has BYPASSRLS")


async def _is_done(connection: Connection, step: Step) -> bool:
    return bool(await connection.fetchval(step.done))


def _parents_first(tables: Sequence[str], references: Sequence[asyncpg.Record]) -> list[str]:
    """A distributed table may only point at distributed ones: those come first."""
    known = set(tables)
    graph = {name: {ROOT} - {name} for name in tables}
    for row in references:
        if row["source"] in known and row["target"] in known:
            graph[row["source"]].add(row["target"])
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += ready
        sorter.done(*ready)
    return ordered


def _table(name: str, shards: int) -> Step:
    place = f"colocate_with => '{ROOT}'"
    if name == ROOT:
        place = f"colocate_with => 'none', shard_count => {shards}"
    sql = f"SELECT create_distributed_table('{name}', 'account_id', {place})"
    return Step(sql, _TABLE_DONE.format(name))


def _cleared(name: str) -> Step:
    """The copy a table leaves on the coordinator is seen by nobody, and erased by nobody."""
    sql = f"SELECT truncate_local_data_after_distributing_table('{name}')"
    return Step(sql, _LOCAL_DONE.format(name))


def _functions(rows: Sequence[asyncpg.Record]) -> list[Step]:
    by_account = [
        row
        for row in rows
        if row["first_is_bigint"] and ACCOUNT_ARGUMENT.fullmatch(row["first_name"])
    ]
    others = [row for row in rows if row not in by_account]
    steps = [_helper(row["signature"]) for row in _called(by_account, others)]
    for row in by_account:
        signature, argument = row["signature"], row["first_name"]
        sql = (
            f"SELECT create_distributed_function('{signature}', '{argument}',"
            f" colocate_with => '{ROOT}')"
        )
        known = "\n               AND distribution_argument_index IS NOT NULL"
        steps.append(Step(sql, _FUNCTION_DONE.format(signature, known)))
    return steps


def _helper(signature: str) -> Step:
    """A function without an account that others call: known on every node."""
    sql = f"SELECT create_distributed_function('{signature}')"
    return Step(sql, _FUNCTION_DONE.format(signature, ""))


def _called(
    callers: Sequence[asyncpg.Record], others: Sequence[asyncpg.Record]
) -> list[asyncpg.Record]:
    """Those of ``others`` that the callers call, directly or by each other."""
    found: list[asyncpg.Record] = []
    sources = [row["source"] for row in callers]
    while sources:
        text = sources.pop()
        for row in others:
            if row not in found and re.search(rf"\b{re.escape(row['name'])}\s*\(", text):
                found.append(row)
                sources.append(row["source"])
    return sorted(found, key=lambda row: str(row["signature"]))
