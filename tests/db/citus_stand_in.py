"""The few names of Citus that ``db distribute`` uses, on a plain PostgreSQL.

They only note what they were asked for: enough to test what is asked, in which order, and that it
is asked once. What Citus does with it is ``test_citus.py``'s, on a real one.
"""

import asyncpg

CATALOGUE = """
CREATE TABLE pg_dist_partition (
    logicalrelid regclass, partmethod "char" DEFAULT 'h', colocationid integer DEFAULT 1);
CREATE TABLE pg_dist_object (classid oid, objid oid, distribution_argument_index integer);
CREATE TABLE pg_dist_local_group (groupid integer);
INSERT INTO pg_dist_local_group VALUES (0);
CREATE TABLE pg_dist_node (nodeid integer, isactive boolean, shouldhaveshards boolean, fault text);
INSERT INTO pg_dist_node VALUES (1, true, true), (2, true, true);

CREATE FUNCTION create_distributed_table(
    what regclass, by_column text, colocate_with text, shard_count integer DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    stranger regclass;
BEGIN
    IF by_column <> 'account_id' THEN
        RAISE EXCEPTION 'distributed by %', by_column;
    END IF;
    IF colocate_with <> 'none' AND NOT EXISTS (
        SELECT FROM pg_dist_partition WHERE logicalrelid = colocate_with::regclass) THEN
        RAISE EXCEPTION '% is not distributed', colocate_with;
    END IF;
    SELECT confrelid INTO stranger FROM pg_constraint
    WHERE contype = 'f' AND conrelid = what
      AND confrelid NOT IN (SELECT logicalrelid FROM pg_dist_partition);
    IF FOUND THEN
        RAISE EXCEPTION 'referenced table "%" must be a distributed table', stranger;
    END IF;
    INSERT INTO pg_dist_partition VALUES (what);
END $$;

CREATE FUNCTION create_distributed_function(
    what regprocedure, argument text DEFAULT NULL, colocate_with text DEFAULT 'default'
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO pg_dist_object
    SELECT 'pg_proc'::regclass, what, array_position(proargnames, argument) - 1
    FROM pg_proc WHERE oid = what
$$;

CREATE FUNCTION run_command_on_all_nodes(command text)
RETURNS TABLE (nodeid integer, success boolean, result text) LANGUAGE sql AS $$
    SELECT n.nodeid, n.fault IS NULL, n.fault FROM pg_dist_node n
$$;

CREATE FUNCTION truncate_local_data_after_distributing_table(what regclass)
RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format('TRUNCATE %s CASCADE', what);
END $$;

INSERT INTO pg_extension (
    oid, extname, extowner, extnamespace, extrelocatable, extversion)
VALUES (999999, 'citus', 10, 'public'::regnamespace, false, '13.0-1');
"""


async def install(dsn: str, *changes: str) -> None:
    """Makes a database believe that it has Citus, then changes what it believes."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET allow_system_table_mods = on")
        await connection.execute(CATALOGUE)
        for change in changes:
            await connection.execute(change)
    finally:
        await connection.close()
