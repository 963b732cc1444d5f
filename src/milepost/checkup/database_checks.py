"""What the database's standing says, judged. Pure."""

from collections.abc import Iterator

from milepost.checkup.standing import ROLES, InForce, Standing
from milepost.checkup.verdict import Verdict, fault, graded, warning, well
from milepost.db.server import OLDEST_VERSION
from milepost.db.vitals import HOT_TABLES, Slot, TableState, Vitals

POOL_SIZE = 8
GIB = 1024**3


def judge_database(standing: Standing, processes: int) -> Iterator[Verdict]:
    """Every check of the server itself; ``processes`` is how many of ours keep a pool."""
    yield version(standing)
    yield encoding(standing)
    yield from durability(standing)
    yield schema(standing)
    yield from roles(standing)
    yield row_security(standing)
    if standing.contents is not None:
        for one in standing.contents.in_force:
            yield limits(one)
    yield clock(standing.clock_seconds)
    yield connections(standing.vitals, processes)
    yield from transactions(standing.vitals)
    yield from vacuum(standing)
    yield from wal(standing.vitals)


def version(standing: Standing) -> Verdict:
    """16 or newer, and not a replica."""
    major, minor = divmod(standing.version, 10_000)
    text = f"PostgreSQL {major}.{minor}"
    if major < OLDEST_VERSION:
        return fault("version", text, f"use PostgreSQL {OLDEST_VERSION} or newer")
    if standing.in_recovery:
        return fault("version", f"{text}, a replica", "point MILEPOST_DATABASE_URL at the primary")
    return well("version", text)


def encoding(standing: Standing) -> Verdict:
    """UTF8 alone holds every name."""
    if standing.encoding != "UTF8":
        todo = "make a database with ENCODING 'UTF8' TEMPLATE template0"
        return fault("encoding", f"the encoding is {standing.encoding}", todo)
    return well("encoding", "UTF8")


def durability(standing: Standing) -> Iterator[Verdict]:
    """Nothing may be acknowledged that a power cut takes away."""
    lossy = [name for name in ("fsync", "full_page_writes") if getattr(standing, name) != "on"]
    contents = standing.contents
    if contents and any(one.synchronous_commit == "off" for one in contents.in_force):
        lossy.append("synchronous_commit")
    if lossy:
        text = f"{', '.join(lossy)} off: what was acknowledged can be lost"
        yield fault("durability", text, "switch it on in postgresql.conf or for the role")
    else:
        yield well("durability", "fsync, full_page_writes and synchronous_commit on")
    if standing.data_checksums != "on":
        todo = "stop PostgreSQL and run pg_checksums --enable"
        yield warning("checksums", "a page that rots on disk would not be noticed", todo)
    else:
        yield well("checksums", "data checksums on")


def schema(standing: Standing) -> Verdict:
    """The migrations of this very version."""
    found, wanted = standing.revision, standing.wanted_revision
    if found == wanted:
        return well("schema", f"revision {found}")
    if found is None:
        return fault("schema", "the database is empty", "run: milepost db upgrade")
    if found < wanted:
        text = f"revision {found}, this Milepost wants {wanted}"
        return fault("schema", text, "run: milepost db upgrade")
    text = f"revision {found} is newer than this Milepost ({wanted})"
    return fault("schema", text, "upgrade Milepost here as well")


def roles(standing: Standing) -> Iterator[Verdict]:
    """All three exist, may be acted as, and are held to the policies."""
    known = {role.name: role for role in standing.roles}
    for name in ROLES:
        role = known.get(name)
        if role is None:
            yield fault("roles", f"there is no role {name}", f"CREATE ROLE {name} NOLOGIN;")
        elif not role.granted:
            text = f"{standing.login} may not act as {name}"
            yield fault("roles", text, f"GRANT {name} TO {standing.login};")
        elif role.bypasses:
            todo = f"ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS;"
            yield fault("roles", f"{name} sees past row-level security", todo)
        else:
            yield well("roles", name)


def row_security(standing: Standing) -> Verdict:
    """Forced on every table with an account."""
    if standing.unguarded:
        names = ", ".join(standing.unguarded)
        todo = "ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; see schema.sql"
        return fault("row security", f"not forced, or without a policy: {names}", todo)
    return well("row security", "forced on every table with an account")


def limits(in_force: InForce) -> Verdict:
    """No statement, lock or forgotten transaction may last for ever."""
    missing = [
        name
        for name, value in (
            ("statement_timeout", in_force.statement_ms),
            ("lock_timeout", in_force.lock_ms),
            ("idle_in_transaction_session_timeout", in_force.idle_ms),
        )
        if value <= 0
    ]
    if missing:
        text = f"{in_force.role} has no {', '.join(missing)}"
        return fault("timeouts", text, "remove what sets it to 0, or use no pooler in between")
    text = f"{in_force.role}: statement {in_force.statement_ms / 1000:g} s, lock "
    text += f"{in_force.lock_ms / 1000:g} s, idle in transaction {in_force.idle_ms / 1000:g} s"
    return well("timeouts", text)


def clock(seconds: float) -> Verdict:
    """Ours and the database's agree."""
    text = f"the database's clock is {seconds:+.3f} s from ours"
    todo = "run NTP on both machines (timedatectl set-ntp true, or chrony)"
    return graded("clock", text, todo, abs(seconds), warn_over=1, fault_over=5)


def connections(vitals: Vitals, processes: int) -> Verdict:
    """There is room for every pool of ours to fill."""
    ours = sum(one.connections for one in vitals.in_use)
    left = vitals.most_connections - vitals.used_connections
    missing = max(0, processes * POOL_SIZE - ours) - left
    text = f"{vitals.used_connections} of {vitals.most_connections} connections in use"
    todo = "raise max_connections, or run fewer processes"
    if left <= 0:
        return fault("connections", text, todo)
    if missing > 0:
        return warning("connections", f"{text}: {missing} too few for full pools", todo)
    return well("connections", text)


def transactions(vitals: Vitals) -> Iterator[Verdict]:
    """Nobody holds back the clearing away of dead rows."""
    seconds = vitals.oldest_transaction_seconds
    todo = "find it in pg_stat_activity or pg_prepared_xacts and end it"
    yield graded(
        "oldest transaction", f"{seconds:.0f} s old", todo, seconds, warn_over=30, fault_over=60
    )
    age = vitals.oldest_xmin_age
    text = f"{age} transactions since the oldest snapshot in use"
    todo = "look for old transactions, prepared ones, unused replication slots and lagging replicas"
    yield graded("oldest snapshot", text, todo, age, warn_over=1e6, fault_over=5e7)
    frozen = vitals.frozen_age
    text = f"{frozen} of 2 billion transactions since the last freeze"
    todo = "run VACUUM (FREEZE), and find out why autovacuum does not"
    yield graded("transaction ids", text, todo, frozen, warn_over=5e8, fault_over=1.5e9)
    if vitals.hidden_sessions:
        text = f"{vitals.hidden_sessions} sessions of others are not shown to this login"
        yield warning("oldest transaction", text, "GRANT pg_read_all_stats to the login")


def vacuum(standing: Standing) -> Iterator[Verdict]:
    """Dead rows of the tables that are rewritten all the time are cleared away."""
    if standing.autovacuum != "on":
        yield fault("autovacuum", "autovacuum is off", "switch autovacuum on")
        return
    hot = [table for table in standing.vitals.tables if table.name in HOT_TABLES]
    found = [verdict for table in hot if (verdict := dead_rows(table))]
    yield from found or [well("autovacuum", "on, and keeping up")]


def dead_rows(table: TableState) -> Verdict | None:
    """A table that is not kept clean, else None."""
    if table.vacuum_off:
        todo = f"ALTER TABLE {table.name} RESET (autovacuum_enabled);"
        return fault("autovacuum", f"off for {table.name}", todo)
    text = f"{table.name} has {table.dead} dead rows beside {table.live} live ones"
    todo = f"look for old transactions, then VACUUM {table.name};"
    if table.dead > 100_000 and table.dead > table.live:
        return fault("autovacuum", text, todo)
    if table.dead > 20_000 and table.dead > 0.4 * table.live:
        return warning("autovacuum", text, todo)
    return None


def wal(vitals: Vitals) -> Iterator[Verdict]:
    """The log is not kept for somebody who never comes."""
    if vitals.wal_bytes is None:
        todo = "GRANT pg_monitor to the login, to be told"
        yield warning("wal", "this login may not see the size of the WAL", todo)
    else:
        text = f"{vitals.wal_bytes / GIB:.2f} GiB of WAL"
        todo = "look at archive_command, replication slots and wal_keep_size"
        yield graded("wal", text, todo, vitals.wal_bytes, warn_over=10 * GIB, fault_over=50 * GIB)
    yield from filter(None, map(slot, vitals.slots))


def slot(one: Slot) -> Verdict | None:
    """A slot that keeps WAL for nobody, else None."""
    if one.active:
        return None
    text = f"slot {one.name} has no reader and keeps {one.retained_bytes / GIB:.2f} GiB of WAL"
    todo = f"start its reader, or SELECT pg_drop_replication_slot('{one.name}');"
    return graded("replication slots", text, todo, one.retained_bytes, warn_over=-1, fault_over=GIB)
