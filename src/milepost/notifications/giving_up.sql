-- name: some(account_id, connection_id, upto, parcel, most)^
-- What nobody asks for any more is not delivered: some of it, parcels from this one on; how many, the last parcel, and what they were. Its lane is locked.
WITH first AS (
    SELECT delivery_id FROM delivery
    WHERE account_id = :account_id AND connection_id = :connection_id AND state = 'pending'
      AND parcel_id >= :parcel AND delivery_id <= coalesce(:upto::bigint, delivery_id)
    ORDER BY parcel_id, delivery_id LIMIT :most
), gone AS (
    UPDATE delivery d SET state = 'cancelled', finished_at = now()
    WHERE d.account_id = :account_id AND d.delivery_id IN (SELECT delivery_id FROM first)
    RETURNING d.delivery_id, d.parcel_id
)
SELECT count(*) AS gone, coalesce(max(parcel_id), 0) AS parcel,
       coalesce(array_agg(delivery_id), '{}') AS delivery_ids
FROM gone;

-- name: release(account_id, connection_id, delivery_ids)$
-- What was added behind them has its turn.
SELECT release_next(:account_id, :connection_id, :delivery_ids::bigint[]);

-- name: shut(account_id, connection_id, reason)!
-- Nothing is sent until all is given up that is there now.
UPDATE delivery_lane SET
    gives_up_to = (
        SELECT max(d.delivery_id) FROM delivery d
        WHERE d.account_id = :account_id AND d.connection_id = :connection_id),
    reason = CASE WHEN state = 'open' THEN :reason ELSE reason END,
    state = CASE WHEN state = 'open' THEN 'paused' ELSE state END
WHERE account_id = :account_id AND connection_id = :connection_id;

-- name: held(account_id, connection_id)^
-- Up to which delivery it is given up, with the lane locked.
SELECT gives_up_to FROM delivery_lane
WHERE account_id = :account_id AND connection_id = :connection_id FOR UPDATE;

-- name: done(account_id, connection_id, reason)!
-- A lane that was shut for this delivers again.
UPDATE delivery_lane SET
    gives_up_to = NULL,
    state = CASE WHEN state = 'paused' AND reason = :reason THEN 'open' ELSE state END,
    reason = CASE WHEN state = 'paused' AND reason = :reason THEN '' ELSE reason END,
    turn_at = greatest(
        coalesce(
            (SELECT min(d.due_at) FROM delivery d
             WHERE d.account_id = :account_id AND d.connection_id = :connection_id
               AND d.state = 'pending'),
            'infinity'),
        lease_until, rests_until)
WHERE account_id = :account_id AND connection_id = :connection_id;

-- name: unfinished(most)
-- Lanes of any account where something is still to be given up.
SELECT account_id, connection_id FROM delivery_lane
WHERE gives_up_to IS NOT NULL ORDER BY account_id, connection_id LIMIT :most;
