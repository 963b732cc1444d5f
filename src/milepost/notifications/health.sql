-- name: health(account_id, connection_id, after, most, counted, hours)
-- How connections do, in the order of their ids; null for all. At most so many deliveries and attempts of each are counted.
SELECT c.connection_id, c.kind, c.form, c.name, c.url, c.created_at,
       CASE WHEN l.state = 'open' AND l.rests_until > now() THEN 'resting' ELSE l.state END AS state,
       l.reason, l.failures, l.failing_since, l.last_success_at, l.last_failure_at,
       CASE WHEN l.rests_until > now() THEN l.rests_until END AS rests_until,
       waiting.pending, waiting.oldest_at,
       CASE WHEN l.state = 'open' THEN greatest(waiting.next_at, l.rests_until) END AS next_attempt_at,
       recent.attempts, recent.delivered
FROM connection c
JOIN delivery_lane l ON l.account_id = :account_id AND l.connection_id = c.connection_id
CROSS JOIN LATERAL (
    SELECT count(*) AS pending, min(w.created_at) AS oldest_at,
           nullif(min(w.due_at), 'infinity') AS next_at
    FROM (SELECT d.created_at, d.due_at FROM delivery d
          WHERE d.account_id = :account_id AND d.connection_id = c.connection_id
            AND d.state = 'pending'
          ORDER BY d.due_at LIMIT :counted + 1) AS w) AS waiting
CROSS JOIN LATERAL (
    SELECT count(*) AS attempts, count(*) FILTER (WHERE r.outcome = 'delivered') AS delivered
    FROM (SELECT a.outcome FROM delivery_attempt a
          WHERE a.account_id = :account_id AND a.connection_id = c.connection_id
            AND a.started_at > now() - :hours * interval '1 hour' AND a.attempt > 0
          ORDER BY a.started_at DESC LIMIT :counted) AS r) AS recent
WHERE c.account_id = :account_id AND c.connection_id > :after AND c.deleted_at IS NULL
  AND (:connection_id::bigint IS NULL OR c.connection_id = :connection_id)
ORDER BY c.connection_id LIMIT :most;

-- name: pause(account_id, connection_id, reason)$
-- Nothing is sent until it is resumed; no row where it is disabled, or paused by hand already. One that is shut for a while for another reason stays shut.
UPDATE delivery_lane SET state = 'paused', reason = :reason
WHERE account_id = :account_id AND connection_id = :connection_id
  AND (state = 'open' OR (state = 'paused' AND reason <> :reason))
RETURNING connection_id;

-- name: delivery_ages(most)
-- Lanes by what their first delivery waits for, and how long the first of it has been due; as milepost_admin, in a transaction.
SELECT waits_for, count(*) FILTER (WHERE due_seconds > 0) AS connections,
       max(due_seconds) AS due_seconds
FROM delivery_ages(:most) GROUP BY waits_for;

-- name: connection_states
-- How many connections are in each state.
SELECT CASE WHEN state = 'open' AND rests_until > now() THEN 'resting' ELSE state END AS state,
       count(*) AS connections
FROM delivery_lane GROUP BY 1;
