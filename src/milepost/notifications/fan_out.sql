-- name: outbox_accounts(after, most)
-- Accounts with something to tell, in key order.
SELECT account_id FROM outbox_accounts(:after, :most) AS account_id;

-- name: few(most)
-- What there is to tell, whosever it is and in no order, as it lies: see due. The parcel's id keeps it from being read by an index.
SELECT account_id, outbox_id, parcel_id FROM outbox LIMIT :most;

-- name: make_head(account_id)!
-- An account's feed begins.
INSERT INTO feed_head (account_id) VALUES (:account_id) ON CONFLICT DO NOTHING;

-- name: hold_head(account_id)$
-- Whoever holds it is the one that tells; null where another does, or there is none yet.
SELECT feed_seq FROM feed_head WHERE account_id = :account_id FOR UPDATE SKIP LOCKED;

-- name: happenings(account_id, most, beyond)
-- What was recorded and nobody told yet, in the order of recording: the first of it, and what was recorded together with the last. A record's rows have ids close by, whoever records beside it.
WITH first AS (
    SELECT outbox_id, parcel_id, sequence, kind, recorded_at
    FROM outbox WHERE account_id = :account_id ORDER BY outbox_id LIMIT :most
)
SELECT outbox_id, parcel_id, sequence, kind, recorded_at FROM first
UNION ALL
SELECT o.outbox_id, o.parcel_id, o.sequence, o.kind, o.recorded_at
FROM outbox o
WHERE o.account_id = :account_id
  AND o.outbox_id > (SELECT max(outbox_id) FROM first)
  AND o.outbox_id <= (SELECT max(outbox_id) FROM first) + :beyond
  AND (o.parcel_id, o.recorded_at) IN (SELECT parcel_id, recorded_at FROM first)
ORDER BY outbox_id;

-- name: these(account_id, outbox_ids)
-- What was recorded, by where it stands, where nobody has told it yet; in the order of recording.
SELECT outbox_id, parcel_id, sequence, kind, recorded_at FROM outbox
WHERE account_id = :account_id AND outbox_id = ANY (:outbox_ids::bigint[])
ORDER BY outbox_id;

-- name: hold_parcels(account_id, parcel_ids)
-- The parcels that are there, and the statuses of them that were told last. Nobody erases them until we are done: what was told of them could not be taken back else.
SELECT p.parcel_id, t.status
FROM parcel p
LEFT JOIN told_status t ON t.account_id = :account_id AND t.parcel_id = p.parcel_id
WHERE p.account_id = :account_id AND p.parcel_id = ANY (:parcel_ids::bigint[])
ORDER BY p.parcel_id FOR KEY SHARE OF p;

-- name: recipients(account_id)
-- Whom an account tells, and what each subscription asks for.
SELECT c.connection_id, c.kind, c.form, c.is_active, c.settings,
       (SELECT jsonb_agg(s.filters) FROM subscription s
        WHERE s.account_id = :account_id AND s.connection_id = c.connection_id AND s.is_active
       ) AS filters
FROM connection c
WHERE c.account_id = :account_id AND c.deleted_at IS NULL ORDER BY c.connection_id;
