-- name: counted(account_id)$
-- How many an account has.
SELECT count(*) FROM connection
WHERE account_id = :account_id AND kind = 'integration' AND deleted_at IS NULL;

-- name: add(account_id, connection_id, name, url, is_active, settings, signing_key)!
-- An integration; its lane is made beside it.
INSERT INTO connection (
    account_id, connection_id, kind, form, name, url, is_active, settings, signing_key)
VALUES (:account_id, :connection_id, 'integration', 'sendcloud_classic', :name, :url, :is_active,
        :settings, :signing_key);

-- name: listed(account_id)
-- An account's, the oldest first, with how they do.
SELECT c.connection_id, c.name, c.url, c.is_active, c.settings, c.created_at, c.updated_at,
       c.former_key_until, l.state, l.reason, l.failing_since
FROM connection c
JOIN delivery_lane l ON l.account_id = :account_id AND l.connection_id = c.connection_id
WHERE c.account_id = :account_id AND c.kind = 'integration' AND c.deleted_at IS NULL
ORDER BY c.connection_id;

-- name: found(account_id, connection_id)^
-- One of them.
SELECT c.connection_id, c.name, c.url, c.is_active, c.settings, c.created_at, c.updated_at,
       c.former_key_until, l.state, l.reason, l.failing_since
FROM connection c
JOIN delivery_lane l ON l.account_id = :account_id AND l.connection_id = c.connection_id
WHERE c.account_id = :account_id AND c.connection_id = :connection_id
  AND c.kind = 'integration' AND c.deleted_at IS NULL;

-- name: change(account_id, connection_id, name, url, is_active, settings)!
-- It is as its owner wants it from now on.
UPDATE connection SET
    name = :name, url = :url, is_active = :is_active, settings = :settings, updated_at = now()
WHERE account_id = :account_id AND connection_id = :connection_id;

-- name: delete(account_id, connection_id)!
-- Nobody is shown it any more, and nothing more is told to it but that.
UPDATE connection SET is_active = false, deleted_at = now()
WHERE account_id = :account_id AND connection_id = :connection_id;

-- name: to_send(account_id, connection_id)^
-- One of them with all that sending to it takes.
SELECT connection_id, kind, form, url, settings, sealed, signing_key, former_key
FROM connection
WHERE account_id = :account_id AND connection_id = :connection_id
  AND kind = 'integration' AND deleted_at IS NULL;

-- name: tell(account_id, connection_id, event_id, action, body)$
-- Puts something that is of no parcel on its way to it.
SELECT tell_connection(
    :account_id, :connection_id, :event_id, :action, 'sendcloud_classic', :body);

-- name: deleted(account_id)
-- Those that were deleted and have been told so, or never will be.
SELECT c.connection_id
FROM connection c
JOIN delivery_lane l ON l.account_id = :account_id AND l.connection_id = c.connection_id
WHERE c.account_id = :account_id AND c.deleted_at IS NOT NULL AND l.gives_up_to IS NULL
  AND (l.state <> 'open' OR NOT EXISTS (
      SELECT FROM delivery d
      WHERE d.account_id = :account_id AND d.connection_id = c.connection_id
        AND d.state = 'pending'))
ORDER BY c.connection_id;

-- name: accounts_connected(after, most)
-- Accounts that have a lane, page by page in key order.
SELECT DISTINCT account_id FROM delivery_lane
WHERE account_id > :after ORDER BY account_id LIMIT :most;

-- name: keys(account_id, connection_id, kinds)^
-- The keys of a connection of these kinds, kept from changing until the transaction ends.
SELECT signing_key, former_key FROM connection
WHERE account_id = :account_id AND connection_id = :connection_id AND kind = ANY (:kinds::text[])
  AND deleted_at IS NULL
FOR NO KEY UPDATE;

-- name: set_keys(account_id, connection_id, signing_key, former_key, former_key_until)!
-- What signs from now on, and until when a former key does.
UPDATE connection SET
    signing_key = :signing_key, former_key = :former_key, former_key_until = :former_key_until
WHERE account_id = :account_id AND connection_id = :connection_id;
