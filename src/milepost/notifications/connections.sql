-- name: make_head(account_id)!
-- See that the row is there which is held while an account's connections change.
INSERT INTO feed_head (account_id) VALUES (:account_id) ON CONFLICT DO NOTHING;

-- name: hold_head(account_id)$
-- Waits for whoever tells, or changes whom to tell; both take a few milliseconds.
SELECT feed_seq FROM feed_head WHERE account_id = :account_id FOR UPDATE;

-- name: next_id()$
-- What a connection will be called: its secrets are sealed for that id.
SELECT nextval('connection_connection_id_seq');

-- name: count_connections(account_id, kinds)$
-- How many there are of these kinds.
SELECT count(*) FROM connection
WHERE account_id = :account_id AND kind = ANY (:kinds::text[]) AND deleted_at IS NULL;

-- name: add(account_id, connection_id, kind, form, url, settings, sealed, signing_key)^
-- A connection; its lane is made beside it.
INSERT INTO connection (account_id, connection_id, kind, form, url, settings, sealed, signing_key)
VALUES (:account_id, :connection_id, :kind, :form, :url, :settings, :sealed, :signing_key)
RETURNING connection_id, kind, form, url, settings, created_at, updated_at;

-- name: add_lane(account_id, connection_id)!
-- Where its deliveries will be scheduled.
INSERT INTO delivery_lane (account_id, connection_id) VALUES (:account_id, :connection_id);

-- name: listed(account_id, kinds)
-- Those of these kinds, the oldest first.
SELECT connection_id, kind, form, url, settings, created_at, updated_at
FROM connection
WHERE account_id = :account_id AND kind = ANY (:kinds::text[]) AND deleted_at IS NULL
ORDER BY connection_id;

-- name: found(account_id, connection_id, kinds)^
-- One of these kinds.
SELECT connection_id, kind, form, url, settings, created_at, updated_at
FROM connection
WHERE account_id = :account_id AND connection_id = :connection_id AND kind = ANY (:kinds::text[])
  AND deleted_at IS NULL;

-- name: held(account_id, connection_id, kinds)^
-- One of these kinds, with its secrets, kept from changing until the transaction ends.
SELECT connection_id, kind, form, url, settings, sealed, created_at, updated_at
FROM connection
WHERE account_id = :account_id AND connection_id = :connection_id AND kind = ANY (:kinds::text[])
  AND deleted_at IS NULL
FOR NO KEY UPDATE;

-- name: change(account_id, connection_id, form, url, settings, sealed)^
-- It goes elsewhere, or otherwise, from now on.
UPDATE connection SET
    form = :form, url = :url, settings = :settings, sealed = :sealed, updated_at = now()
WHERE account_id = :account_id AND connection_id = :connection_id
RETURNING connection_id, kind, form, url, settings, created_at, updated_at;

-- name: to_send(subscription_id, account_id)^
-- A subscription's connection with all that sending to it takes.
SELECT c.connection_id, c.kind, c.form, c.url, c.settings, c.sealed, c.signing_key, c.former_key
FROM subscription s
JOIN connection c ON c.account_id = :account_id AND c.connection_id = s.connection_id
WHERE s.account_id = :account_id AND s.subscription_id = :subscription_id;

-- name: is_parcel(account_id, parcel_id)$
-- Whether an account has a parcel of that id.
SELECT EXISTS (SELECT FROM parcel WHERE account_id = :account_id AND parcel_id = :parcel_id);

-- name: seconds_since_test(account_id, action)$
-- How long ago the account's last test was; null: never.
SELECT extract(epoch FROM now() - at)::float FROM audit
WHERE account_id = :account_id AND parcel_id IS NULL AND action = :action
ORDER BY audit_id DESC LIMIT 1;

-- name: hold_lane(account_id, connection_id)^
-- Locks it: whoever adds or finishes deliveries does so first.
SELECT state, failing_since, gives_up_to FROM delivery_lane
WHERE account_id = :account_id AND connection_id = :connection_id FOR UPDATE;

-- name: make_due(account_id, connection_id)!
-- Each parcel's first is due, the oldest the longest, with all its attempts before it. Only those are written that are not so already: a long pause may leave very many.
UPDATE delivery SET due_at = least(created_at, now()), attempts = 0
WHERE account_id = :account_id AND connection_id = :connection_id AND state = 'pending'
  AND due_at < 'infinity' AND (due_at > now() OR attempts > 0);

-- name: take_up(account_id, connection_id, since)
-- What failed for good since then is to be tried again; of which parcels it is.
UPDATE delivery SET state = 'pending', attempts = 0, finished_at = NULL, due_at = 'infinity'
WHERE account_id = :account_id AND connection_id = :connection_id
  AND state = 'failed' AND finished_at >= :since
RETURNING parcel_id;

-- name: put_in_order(account_id, connection_id, parcel_ids)!
-- The first of each of these parcels is due; those behind it wait for it.
UPDATE delivery d
SET due_at = CASE WHEN o.nth = 1 THEN least(d.created_at, now()) ELSE 'infinity' END
FROM (
    SELECT delivery_id, row_number() OVER (PARTITION BY parcel_id ORDER BY delivery_id) AS nth
    FROM delivery
    WHERE account_id = :account_id AND connection_id = :connection_id AND state = 'pending'
      AND parcel_id = ANY (:parcel_ids::bigint[])) AS o
WHERE d.account_id = :account_id AND d.delivery_id = o.delivery_id
  AND (o.nth = 1 OR d.due_at < 'infinity');

-- name: open_lane(account_id, connection_id, reason)!
-- It delivers from now on, as if it had never failed; where something is given up, when that is done.
UPDATE delivery_lane SET
    state = CASE WHEN gives_up_to IS NULL THEN 'open' ELSE 'paused' END,
    reason = CASE WHEN gives_up_to IS NULL THEN '' ELSE :reason END, failures = 0, rests_until = NULL, failing_since = NULL,
    turn_at = greatest(
        coalesce(
            (SELECT min(d.due_at) FROM delivery d
             WHERE d.account_id = :account_id AND d.connection_id = :connection_id
               AND d.state = 'pending'),
            'infinity'),
        lease_until)
WHERE account_id = :account_id AND connection_id = :connection_id;

-- name: shut_lane(account_id, connection_id)!
-- Whoever delivers here writes nothing more.
UPDATE delivery_lane SET
    state = 'disabled', reason = 'it is being deleted', fence = fence + 1, turn_at = 'infinity'
WHERE account_id = :account_id AND connection_id = :connection_id;

-- name: strike(account_id, connection_id)!
-- Nobody is shown it any more, and its secrets are gone; the rest of it goes later.
UPDATE connection SET
    is_active = false, deleted_at = now(), sealed = NULL, signing_key = NULL, former_key = NULL
WHERE account_id = :account_id AND connection_id = :connection_id;

-- name: forget_subscriptions(account_id, connection_id)!
-- Nothing more is asked for.
DELETE FROM subscription WHERE account_id = :account_id AND connection_id = :connection_id;

-- name: forget_deliveries(account_id, connection_id, most)
-- Some of its deliveries; of which messages they were.
DELETE FROM delivery d
WHERE d.account_id = :account_id AND d.delivery_id IN (
    SELECT delivery_id FROM delivery
    WHERE account_id = :account_id AND connection_id = :connection_id
    ORDER BY delivery_id DESC LIMIT :most)
RETURNING d.message_id;

-- name: forget_messages(account_id, message_ids)!
-- Messages that nobody else gets and the feed does not tell.
DELETE FROM message m
WHERE m.account_id = :account_id AND m.message_id = ANY (:message_ids::bigint[])
  AND NOT EXISTS (
      SELECT FROM delivery d
      WHERE d.account_id = :account_id AND d.message_id = m.message_id)
  AND NOT EXISTS (
      SELECT FROM feed_event f
      WHERE f.account_id = :account_id AND f.message_id = m.message_id);

-- name: forget_attempts(account_id, connection_id, most)$
-- Some of what was sent there and came back, the oldest first; how many.
WITH first AS (
    SELECT started_at FROM delivery_attempt
    WHERE account_id = :account_id AND connection_id = :connection_id
    ORDER BY started_at LIMIT :most
), gone AS (
    DELETE FROM delivery_attempt
    WHERE account_id = :account_id AND connection_id = :connection_id
      AND started_at <= (SELECT max(started_at) FROM first)
    RETURNING 1
)
SELECT count(*) FROM gone;

-- name: forget_lane(account_id, connection_id)!
-- Before its connection goes.
DELETE FROM delivery_lane WHERE account_id = :account_id AND connection_id = :connection_id;

-- name: forget(account_id, connection_id)!
-- The connection itself.
DELETE FROM connection WHERE account_id = :account_id AND connection_id = :connection_id;
