-- name: found(account_id)^
-- What an account has chosen about letters to recipients, and whether they go out.
SELECT c.connection_id, c.is_active, c.settings, c.updated_at, l.state, l.reason
FROM connection c
JOIN delivery_lane l ON l.account_id = :account_id AND l.connection_id = c.connection_id
WHERE c.account_id = :account_id AND c.kind = 'email';

-- name: choose(account_id, settings)$
-- From now on recipients are written to; of which connection that is.
INSERT INTO connection (account_id, kind, form, settings)
VALUES (:account_id, 'email', 'email', :settings)
ON CONFLICT (account_id) WHERE kind = 'email'
DO UPDATE SET settings = excluded.settings, is_active = true, updated_at = now()
RETURNING connection_id;

-- name: make_lane(account_id, connection_id)!
-- Where its letters are scheduled.
INSERT INTO delivery_lane (account_id, connection_id) VALUES (:account_id, :connection_id)
ON CONFLICT DO NOTHING;

-- name: end(account_id)$
-- From now on nobody is written to; null where nobody was.
UPDATE connection SET is_active = false, updated_at = now()
WHERE account_id = :account_id AND kind = 'email' AND is_active
RETURNING connection_id;

-- name: account_name(account_id)$
-- What the shop is called where it does not say so itself.
SELECT name FROM account WHERE account_id = :account_id;

-- name: lift(account_id, address_hashes)$
-- An address may be written to again; under which hash it was not, null where it was all the time.
WITH lifted AS (
    DELETE FROM mail_refusal
    WHERE account_id = :account_id AND address_hash = ANY (:address_hashes::bytea[])
    RETURNING address_hash
)
SELECT address_hash FROM lifted LIMIT 1;
