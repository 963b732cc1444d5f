-- name: find_key(account_id, public_key)^
-- The living key of that name, or nothing.
SELECT * FROM caller_of_key(:account_id, :public_key);

-- name: find_token(account_id, token_hashes)^
-- The living token that has one of these hashes, or nothing.
SELECT * FROM caller_of_token(:account_id, :token_hashes);

-- name: issue_token(account_id, key_id, token_hash, scope, seconds)$
-- True when the key still lived and the token is stored.
SELECT issue_token(:account_id, :key_id, :token_hash, :scope, :seconds);

-- name: purge_tokens(account_id, at_most)$
-- Forgets tokens that are past their time; how many.
WITH gone AS (
    DELETE FROM access_token
    WHERE account_id = :account_id AND token_hash IN (
        SELECT token_hash FROM access_token
        WHERE account_id = :account_id AND expires_at < now() LIMIT :at_most)
    RETURNING 1
)
SELECT count(*) FROM gone;

-- name: add_account(name)^
-- A new account with the default limits.
INSERT INTO account (name) VALUES (:name) RETURNING account_id, name, status, reads_per_minute,
    writes_per_minute, writes_per_second, created_at;

-- name: list_accounts()
-- Every account, oldest first (operator only).
SELECT account_id, name, status, reads_per_minute, writes_per_minute, writes_per_second, created_at
FROM account ORDER BY account_id;

-- name: find_accounts(name, account_id)
-- The accounts of that name, or the one with that id.
SELECT account_id, name, status, reads_per_minute, writes_per_minute, writes_per_second, created_at
FROM account WHERE name = :name OR account_id = :account_id ORDER BY account_id;

-- name: set_status(account_id, status)!
-- Suspends an account or lifts that.
UPDATE account SET status = :status WHERE account_id = :account_id;

-- name: suspended()
-- The suspended accounts.
SELECT account_id FROM account WHERE status = 'suspended';

-- name: set_limits(account_id, reads, writes, burst)^
-- Changes the limits that are not null; 0 is no limit.
UPDATE account SET
    reads_per_minute = coalesce(:reads::integer, reads_per_minute),
    writes_per_minute = coalesce(:writes::integer, writes_per_minute),
    writes_per_second = coalesce(:burst::integer, writes_per_second)
WHERE account_id = :account_id
RETURNING account_id, name, status, reads_per_minute, writes_per_minute, writes_per_second,
    created_at;

-- name: add_key(account_id, public_key, secret_hash, label, integration_id)^
-- A new key of an account; its secret is kept as a keyed hash only.
INSERT INTO api_key (account_id, public_key, secret_hash, label, integration_id)
VALUES (:account_id, :public_key, :secret_hash, :label, :integration_id::bigint)
RETURNING account_id, key_id, public_key, label, v2_order, integration_id, created_at, revoked_at;

-- name: list_keys(account_id)
-- An account's keys, oldest first, revoked ones too.
SELECT account_id, key_id, public_key, label, v2_order, integration_id, created_at, revoked_at
FROM api_key WHERE account_id = :account_id ORDER BY key_id;

-- name: revoke_key(account_id, public_key)^
-- Ends a key and with it its tokens; a second time changes nothing.
UPDATE api_key SET revoked_at = coalesce(revoked_at, now())
WHERE account_id = :account_id AND public_key = :public_key
RETURNING account_id, key_id, public_key, label, v2_order, integration_id, created_at, revoked_at;

-- name: set_v2_order(account_id, public_key, v2_order)^
-- In which order this key gets v2 statuses.
UPDATE api_key SET v2_order = :v2_order
WHERE account_id = :account_id AND public_key = :public_key
RETURNING account_id, key_id, public_key, label, v2_order, integration_id, created_at, revoked_at;

-- name: set_integration(account_id, public_key, integration_id)^
-- Whose the parcels are that are registered with this key; null: nobody's.
UPDATE api_key SET integration_id = :integration_id::bigint
WHERE account_id = :account_id AND public_key = :public_key
RETURNING account_id, key_id, public_key, label, v2_order, integration_id, created_at, revoked_at;

-- name: begin_idempotent(account_id, key, fingerprint, keep_hours)^
-- Takes the key for this transaction, or says what was answered under it.
SELECT * FROM begin_idempotent(:account_id, :key, :fingerprint, :keep_hours);

-- name: finish_idempotent(account_id, key, status, headers, body, parcel_id)!
-- Keeps the answer given under a key that is ours.
UPDATE idempotency_key
SET status = :status, headers = :headers, body = :body, parcel_id = :parcel_id
WHERE account_id = :account_id AND key = :key;

-- name: purge_idempotent(account_id, keep_hours, at_most)$
-- Forgets an account's oldest answers past their time; how many.
WITH old AS (
    SELECT key FROM idempotency_key
    WHERE account_id = :account_id AND created_at < now() - make_interval(hours => :keep_hours)
    ORDER BY created_at LIMIT :at_most
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM idempotency_key
    WHERE account_id = :account_id AND key IN (SELECT key FROM old) RETURNING 1
)
SELECT count(*) FROM gone;

-- name: account_credential(account_id, carrier_code)$
-- An account's own sealed login at a carrier, or null.
SELECT sealed FROM account_credential(:account_id, :carrier_code);

-- name: operator_credential(carrier_code)$
-- The sealed login that serves every account, or null.
SELECT sealed FROM operator_credential WHERE carrier_code = :carrier_code;

-- name: keep_account_credential(account_id, carrier_code, sealed)!
-- Sets or replaces an account's own login.
INSERT INTO carrier_credential (account_id, carrier_code, sealed)
VALUES (:account_id, :carrier_code, :sealed)
ON CONFLICT (account_id, carrier_code)
DO UPDATE SET sealed = excluded.sealed, updated_at = now();

-- name: lock_account(account_id)!
-- Makes changes of one account's logins wait for each other.
SELECT FROM account WHERE account_id = :account_id FOR UPDATE;

-- name: drop_account_credential(account_id, carrier_code)!
-- Removes an account's own login.
DELETE FROM carrier_credential WHERE account_id = :account_id AND carrier_code = :carrier_code;

-- name: keep_operator_credential(carrier_code, sealed)!
-- Sets or replaces the login that serves every account.
INSERT INTO operator_credential (carrier_code, sealed) VALUES (:carrier_code, :sealed)
ON CONFLICT (carrier_code) DO UPDATE SET sealed = excluded.sealed, updated_at = now();

-- name: drop_operator_credential(carrier_code)!
-- Removes the login that serves every account.
DELETE FROM operator_credential WHERE carrier_code = :carrier_code;

-- name: raise_account_epoch(account_id)!
-- An account's parcels are rendered anew when next read.
UPDATE account SET render_epoch = render_epoch + 1 WHERE account_id = :account_id;

-- name: raise_every_epoch()!
-- Every account's parcels are rendered anew when next read (operator only).
UPDATE account SET render_epoch = render_epoch + 1;

-- name: wake_lane(account_id, carrier_codes)!
-- One account's waiting parcels of a carrier are asked about at once.
UPDATE lane SET turn_at = now(), paused_until = NULL, state = 'open'
WHERE account_id = :account_id AND carrier_code = ANY (:carrier_codes);

-- name: wake_lanes(carrier_codes)!
-- Every account's waiting parcels of a carrier are asked about at once (operator only).
UPDATE lane SET turn_at = now(), paused_until = NULL, state = 'open'
WHERE carrier_code = ANY (:carrier_codes);

-- name: spend_budget(account_id, kind, wanted, spare, returned, returned_bucket, limit, buckets, bucket_ms, lease_buckets, burst, burst_buckets, burst_bucket_ms)^
-- Spends, leases and gives back budget in one step; see the function.
SELECT * FROM spend_budget(
    :account_id, :kind, :wanted, :spare, :returned, :returned_bucket,
    :limit, :buckets, :bucket_ms, :lease_buckets, :burst, :burst_buckets, :burst_bucket_ms
);

-- name: forget_answers(account_id, parcel_id, number)$
-- Forgets the answers kept about one parcel; how many. One kept by the version before names no
-- parcel, and is known by the number in it.
WITH gone AS (
    DELETE FROM idempotency_key
    WHERE account_id = :account_id
      AND (parcel_id = :parcel_id
           OR (parcel_id IS NULL AND position(:number::bytea IN body) > 0))
    RETURNING 1
)
SELECT count(*) FROM gone;
