-- name: shut(account_id, reason, giving_up)!
-- Nothing is sent for an account any more; what is under way is still written down. Nor where something is given up, when that is done.
UPDATE delivery_lane SET state = 'paused', reason = :reason
WHERE account_id = :account_id
  AND (state = 'open' OR (state = 'paused' AND reason = :giving_up));

-- name: telling_accounts(account_ids, giving_up)
-- Those of these accounts that have lanes to shut.
SELECT DISTINCT account_id FROM delivery_lane
WHERE account_id = ANY (:account_ids::bigint[])
  AND (state = 'open' OR (state = 'paused' AND reason = :giving_up)) ORDER BY account_id;

-- name: shut_accounts(reason)
-- Accounts with lanes that were shut for this.
SELECT DISTINCT account_id FROM delivery_lane
WHERE state <> 'open' AND state = 'paused' AND reason = :reason ORDER BY account_id;

-- name: open(account_id, reason, giving_up)!
-- They deliver again as they did before; where something is given up, when that is done.
UPDATE delivery_lane l SET
    state = CASE WHEN l.gives_up_to IS NULL THEN 'open' ELSE 'paused' END,
    reason = CASE WHEN l.gives_up_to IS NULL THEN '' ELSE :giving_up END,
    turn_at = greatest(
        coalesce(
            (SELECT min(d.due_at) FROM delivery d
             WHERE d.account_id = :account_id AND d.connection_id = l.connection_id
               AND d.state = 'pending'),
            'infinity'),
        l.lease_until, l.rests_until)
WHERE l.account_id = :account_id AND l.state = 'paused' AND l.reason = :reason;
