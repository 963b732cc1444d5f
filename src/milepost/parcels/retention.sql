-- name: parcels-to-forget
-- An account's parcels about which nothing has changed since p_before, the longest silent first.
SELECT parcel_id FROM parcel
WHERE account_id = :account_id AND updated_at < :before
ORDER BY updated_at, parcel_id LIMIT :most;

-- name: forget-timings$
-- Of an account's oldest anonymous milestones those that are so old; how many. In the order of their
-- parcels, which is near enough the order of time and needs no index of its own.
WITH oldest AS (
    SELECT parcel_id, registered_at FROM parcel_timing
    WHERE account_id = :account_id ORDER BY parcel_id LIMIT :most
), gone AS (
    DELETE FROM parcel_timing t USING oldest o
    WHERE t.account_id = :account_id AND t.parcel_id = o.parcel_id AND o.registered_at < :before
    RETURNING 1
)
SELECT count(*) FROM gone;

-- name: forget-audit$
-- The same for the audit, of which the worker may take nothing that is younger than a month.
WITH oldest AS (
    SELECT audit_id, at FROM audit
    WHERE account_id = :account_id ORDER BY audit_id LIMIT :most
), gone AS (
    DELETE FROM audit a USING oldest o
    WHERE a.account_id = :account_id AND a.audit_id = o.audit_id AND o.at < :before
    RETURNING 1
)
SELECT count(*) FROM gone;
