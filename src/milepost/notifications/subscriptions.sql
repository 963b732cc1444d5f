-- name: counted(account_id)$
-- How many an account has.
SELECT count(*) FROM subscription WHERE account_id = :account_id;

-- name: add(account_id, connection_id, event_type, is_active, filters)^
-- A subscription.
INSERT INTO subscription (account_id, connection_id, event_type, is_active, filters)
VALUES (:account_id, :connection_id, :event_type, :is_active, :filters)
RETURNING subscription_id, connection_id, event_type, is_active, filters, created_at, updated_at;

-- name: listed(account_id, event_type, is_active)
-- Those of a type, or in a state; null asks nothing. The oldest first.
SELECT subscription_id, connection_id, event_type, is_active, filters, created_at, updated_at
FROM subscription
WHERE account_id = :account_id AND event_type = coalesce(:event_type::text, event_type)
  AND is_active = coalesce(:is_active::boolean, is_active)
ORDER BY subscription_id;

-- name: found(account_id, subscription_id)^
-- One of them.
SELECT subscription_id, connection_id, event_type, is_active, filters, created_at, updated_at
FROM subscription WHERE account_id = :account_id AND subscription_id = :subscription_id;

-- name: change(account_id, subscription_id, connection_id, event_type, is_active, filters)^
-- Null leaves a column as it is.
UPDATE subscription SET
    connection_id = coalesce(:connection_id::bigint, connection_id),
    event_type = coalesce(:event_type::text, event_type),
    is_active = coalesce(:is_active::boolean, is_active),
    filters = coalesce(:filters::jsonb, filters),
    updated_at = now()
WHERE account_id = :account_id AND subscription_id = :subscription_id
RETURNING subscription_id, connection_id, event_type, is_active, filters, created_at, updated_at;

-- name: forget(account_id, subscription_id)$
-- Ends it; to which connection it led.
DELETE FROM subscription
WHERE account_id = :account_id AND subscription_id = :subscription_id
RETURNING connection_id;

-- name: is_asked(account_id, connection_id)$
-- Whether any active subscription leads to a connection.
SELECT EXISTS (
    SELECT FROM subscription
    WHERE account_id = :account_id AND connection_id = :connection_id AND is_active);
