-- name: activity^
-- The oldest open transaction of this database but this one, prepared ones included, autovacuum's (which hold nobody back) not, and what we are not shown of others.
SELECT
    clock_timestamp() AS clock,
    greatest(
        (SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()
           AND backend_type IS DISTINCT FROM 'autovacuum worker'),
        (SELECT max(extract(epoch FROM clock_timestamp() - prepared)) FROM pg_prepared_xacts
         WHERE database = current_database()), 0)::double precision AS oldest_transaction_seconds,
    coalesce((SELECT max(extract(epoch FROM clock_timestamp() - state_change)) FROM pg_stat_activity
     WHERE datname = current_database() AND state LIKE 'idle in transaction%'), 0
    )::double precision AS oldest_idle_seconds,
    greatest(
        (SELECT max(age(backend_xmin)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()),
        (SELECT max(age(xmin)) FROM pg_replication_slots),
        (SELECT max(age(transaction)) FROM pg_prepared_xacts), 0)::bigint AS oldest_xmin_age,
    (SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND query = '<insufficient privilege>') AS hidden_sessions,
    (SELECT age(datfrozenxid) FROM pg_database
     WHERE datname = current_database())::bigint AS frozen_age,
    (SELECT sum(numbackends) FROM pg_stat_database)::bigint AS used_connections,
    (current_setting('max_connections')::integer
     - current_setting('superuser_reserved_connections')::integer
     - coalesce(current_setting('reserved_connections', true), '0')::integer)::bigint AS most_connections,
    pg_database_size(current_database()) AS database_bytes,
    has_function_privilege('pg_ls_waldir()', 'EXECUTE') AS may_see_wal;

-- name: wal-bytes$
-- The size of the write-ahead log; only for who may see it, which the server asks before it starts.
SELECT sum(size)::bigint FROM pg_ls_waldir();

-- name: connections
-- Our connections by the role they act as and what they do.
SELECT application_name AS role, coalesce(state, 'unknown') AS state, count(*) AS connections
FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'milepost\_%' AND pid <> pg_backend_pid()
GROUP BY 1, 2 ORDER BY 1, 2;

-- name: slots
-- Replication slots and the WAL each of them keeps from being removed.
SELECT slot_name AS name, active,
       coalesce(CASE WHEN pg_is_in_recovery() THEN 0
                     ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END, 0)::bigint AS retained_bytes
FROM pg_replication_slots ORDER BY 1;

-- name: tables
-- Live and dead rows of our tables as last estimated, and when each was vacuumed.
SELECT s.relname AS name, s.n_live_tup AS live, s.n_dead_tup AS dead,
       greatest(s.last_autovacuum, s.last_vacuum) AS vacuumed_at,
       coalesce('autovacuum_enabled=false' = ANY (c.reloptions)
                OR 'autovacuum_enabled=off' = ANY (c.reloptions), false) AS vacuum_off,
       pg_total_relation_size(s.relid) AS bytes
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
WHERE s.schemaname = 'public' ORDER BY 1;
