-- name: is_known(account_id, connection_id)$
-- Whether there is such a connection, and nobody has deleted it.
SELECT EXISTS (
    SELECT FROM connection
    WHERE account_id = :account_id AND connection_id = :connection_id AND deleted_at IS NULL);

-- name: since(account_id, connection_id, since)$
-- Below which id nothing was made since then.
SELECT deliveries_since(:account_id, :connection_id, :since);

-- name: page(account_id, connection_id, least, below, since, state, parcel_id, most)
-- Deliveries with ids from least to below, the newest first, and what came of each last; null asks nothing.
SELECT d.delivery_id, d.connection_id, d.parcel_id, d.state, d.attempts, d.created_at, d.finished_at,
       d.replayed_at, m.event_id, m.sequence, m.action, m.form,
       CASE WHEN d.state = 'pending' THEN nullif(d.due_at, 'infinity') END AS next_attempt_at,
       t.started_at AS tried_at, t.outcome, t.status, t.error
FROM delivery d
JOIN message m ON m.account_id = :account_id AND m.message_id = d.message_id
LEFT JOIN LATERAL (
    SELECT a.started_at, a.outcome, a.status, a.error FROM delivery_attempt a
    WHERE a.account_id = :account_id AND a.delivery_id = d.delivery_id
    ORDER BY a.started_at DESC LIMIT 1) AS t ON true
WHERE d.account_id = :account_id AND d.connection_id = :connection_id
  AND d.delivery_id >= :least AND d.delivery_id < :below
  AND (:since::timestamptz IS NULL OR d.created_at >= :since)
  AND (:state::text IS NULL OR d.state = :state)
  AND (:parcel_id::bigint IS NULL OR d.message_id IN (
      SELECT p.message_id FROM message p
      WHERE p.account_id = :account_id AND p.parcel_id = :parcel_id))
ORDER BY d.delivery_id DESC LIMIT :most;

-- name: place_of(account_id, delivery_id)^
-- To which connection a delivery goes, and what it says.
SELECT d.connection_id, m.body
FROM delivery d
JOIN message m ON m.account_id = :account_id AND m.message_id = d.message_id
JOIN connection c ON c.account_id = :account_id AND c.connection_id = d.connection_id
WHERE d.account_id = :account_id AND d.delivery_id = :delivery_id AND c.deleted_at IS NULL;

-- name: attempts(account_id, delivery_id, most)
-- What was sent and what came back, the last first.
SELECT attempt, started_at, milliseconds, outcome, status, error, request_headers, answer
FROM delivery_attempt
WHERE account_id = :account_id AND delivery_id = :delivery_id
ORDER BY started_at DESC LIMIT :most;

-- name: finished_since(account_id, connection_id, least, since, until, states, most)
-- Deliveries that were made in a time and are over, with ids from least on, the oldest first.
SELECT delivery_id FROM delivery
WHERE account_id = :account_id AND connection_id = :connection_id AND delivery_id >= :least
  AND created_at >= :since AND created_at < :until AND state = ANY (:states::text[])
ORDER BY delivery_id LIMIT :most;

-- name: replay(account_id, connection_id, delivery_ids)$
-- Sends them again; null where there is no such connection.
SELECT replay_deliveries(:account_id, :connection_id, :delivery_ids::bigint[]);

-- name: failures(account_id, connection_id, before, most)
-- What did not arrive at integrations before a moment, the last first, and what failed in the same moment as the last of these; null for all of them, or for now.
SELECT c.connection_id AS integration_id, a.delivery_id, a.attempt, a.started_at, c.url, a.outcome,
       a.error, a.status, a.request_headers AS headers, a.answer, m.body AS payload
FROM connection c
CROSS JOIN LATERAL (
    SELECT t.delivery_id, t.attempt, t.started_at, t.outcome, t.error, t.status, t.request_headers,
           t.answer
    FROM delivery_attempt t
    WHERE t.account_id = :account_id AND t.connection_id = c.connection_id
      AND t.outcome <> 'delivered' AND t.started_at < coalesce(:before::timestamptz, 'infinity')
    ORDER BY t.started_at DESC FETCH FIRST (:most) ROWS WITH TIES) AS a
LEFT JOIN delivery d ON d.account_id = :account_id AND d.delivery_id = a.delivery_id
LEFT JOIN message m ON m.account_id = :account_id AND m.message_id = d.message_id
WHERE c.account_id = :account_id AND c.kind = 'integration' AND c.deleted_at IS NULL
  AND (:connection_id::bigint IS NULL OR c.connection_id = :connection_id)
ORDER BY a.started_at DESC FETCH FIRST (:most) ROWS WITH TIES;
