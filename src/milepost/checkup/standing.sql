-- name: standing^
-- What the server is and how it was set up.
SELECT current_setting('server_version_num')::integer AS version,
       current_setting('server_encoding') AS encoding,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('data_checksums') AS data_checksums,
       current_setting('autovacuum') AS autovacuum,
       pg_is_in_recovery() AS in_recovery,
       current_user::text AS login,
       to_regclass('public.alembic_version') IS NOT NULL AS migrated;

-- name: roles
-- Which of our roles there are, whether this login may act as them, and whether they see past policies.
SELECT rolname::text AS name, pg_has_role(current_user, oid, 'SET') AS granted,
       rolsuper OR rolbypassrls AS bypasses
FROM pg_roles WHERE rolname IN ('milepost_app', 'milepost_worker', 'milepost_admin') ORDER BY 1;

-- name: unguarded
-- Tables with an account whose rows are not kept apart for everybody; parts of a table are reached through it.
SELECT c.relname::text AS name FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id' AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity
           AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
ORDER BY 1;

-- name: fingerprint$
-- Which secret key this database was set up with.
SELECT key_fingerprint FROM installation WHERE only_row;

-- name: unmapped
-- Codes no rule maps that came within the last week, the most frequent first.
SELECT carrier_code, raw_code, seen FROM unmapped_code
WHERE last_seen_at > now() - interval '7 days' ORDER BY seen DESC, carrier_code, raw_code LIMIT 100;

-- name: routes
-- Documented hosts that are reached elsewhere.
SELECT host, base_url FROM host_route ORDER BY host;

-- name: in-force^
-- The limits of this very connection.
SELECT current_user::text AS role, current_setting('synchronous_commit') AS synchronous_commit,
       (SELECT setting::integer FROM pg_settings WHERE name = 'statement_timeout') AS statement_ms,
       (SELECT setting::integer FROM pg_settings WHERE name = 'lock_timeout') AS lock_ms,
       (SELECT setting::integer FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout') AS idle_ms;
