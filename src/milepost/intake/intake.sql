-- name: add_secret(account_id, carrier_code, form, secret_hash, hint, label, proof, sealed)^
-- A new address of a carrier; its secret is kept as a keyed hash only.
INSERT INTO push_secret (account_id, carrier_code, form, secret_hash, hint, label, proof, sealed)
VALUES (:account_id, :carrier_code, :form, :secret_hash, :hint, :label, :proof, :sealed)
RETURNING push_secret_id, carrier_code, form, hint, label, proof, created_at, revoked_at,
    last_pushed_at;

-- name: list_secrets(account_id, carrier_code)
-- An account's addresses of a carrier, oldest first, revoked ones too.
SELECT push_secret_id, carrier_code, form, hint, label, proof, created_at, revoked_at,
    last_pushed_at
FROM push_secret WHERE account_id = :account_id AND carrier_code = :carrier_code
ORDER BY push_secret_id;

-- name: revoke_secret(account_id, carrier_code, push_secret_id)^
-- Ends an address; a second time changes nothing.
UPDATE push_secret SET revoked_at = coalesce(revoked_at, now())
WHERE account_id = :account_id AND carrier_code = :carrier_code
  AND push_secret_id = :push_secret_id
RETURNING push_secret_id, carrier_code, form, hint, label, proof, created_at, revoked_at,
    last_pushed_at;

-- name: secret_of(account_id, hashes)^
-- The living secret that has one of these hashes, or nothing.
SELECT push_secret_id, carrier_code, form, proof, sealed, secret_hash
FROM push_address_of(:account_id, :hashes::bytea[]);

-- name: keep_push(account_id, push_secret_id, headers, payload)$
-- Stores a payload; null where its secret does not live any more.
SELECT keep_push(:account_id, :push_secret_id, :headers, :payload);

-- name: waiting_push_bytes(account_id)$
-- Bytes of what is still to be told.
SELECT waiting_push_bytes(:account_id);

-- name: due_turns(most)
-- Who has something to be told, or a carrier to be asked for it, the longest due first.
SELECT account_id, queue FROM intake_turn WHERE turn_at <= now() ORDER BY turn_at LIMIT :most;

-- name: claim_pushes(account_id, most, lease)
-- Takes due payloads under a lease, as many as may lie in memory.
SELECT * FROM claim_pushes(:account_id, :most, :lease);

-- name: finish_push(account_id, push_id, fence, state, reason, numbers, due_in)$
-- What became of a payload; without a state it is gone.
SELECT finish_push(:account_id, :push_id, :fence, :state, :reason, :numbers::text[], :due_in);

-- name: plan_pushes(account_id)$
-- Plans the account's next turn by what is left.
SELECT plan_pushes(:account_id);

-- name: plan_told(account_id, parcel_id, urgency, due_in, ask)$
-- When a parcel's carrier is asked after somebody told us of it.
SELECT plan_told(:account_id, :parcel_id, :urgency, :due_in, :ask);

-- name: kept_pushes(account_id, carrier_code, most)
-- What is kept and was not told, the latest first.
SELECT push_id, carrier_code, source, received_at, state, reason, numbers, tries, due_at, payload
FROM push_payload WHERE account_id = :account_id AND carrier_code = :carrier_code
ORDER BY push_id DESC LIMIT :most;

-- name: try_again(account_id, carrier_code)$
-- Makes everything that is kept due once more; how many.
WITH again AS (
    UPDATE push_payload SET due_at = now(), tries = 0
    WHERE account_id = :account_id AND carrier_code = :carrier_code AND state <> 'waiting'
    RETURNING 1
)
SELECT count(*) FROM again;

-- name: plan_intake(account_id, queue)$
-- The queue's turn comes at once.
SELECT plan_intake(:account_id, :queue, now());

-- name: accounts_of_lanes(carrier_codes, after, most)
-- The accounts after :after that ever registered a parcel of some carriers, in order of their ids.
SELECT DISTINCT l.account_id FROM lane l
WHERE l.account_id > :after AND l.carrier_code = ANY (:carrier_codes::text[])
ORDER BY l.account_id LIMIT :most;

-- name: begin_turn(account_id, queue)$
-- A queue that is new, or rests, has its turn now.
SELECT begin_turn(:account_id, :queue);

-- name: rest_turn(account_id, queue)$
-- A queue has no turn until it is begun again.
SELECT rest_turn(:account_id, :queue);

-- name: claim_feed(account_id, carrier_code, since, lease)^
-- Takes a feed's turn under a lease; nothing where another has it.
SELECT told_until, misses, fence FROM claim_feed(:account_id, :carrier_code, :since, :lease);

-- name: keep_fed(account_id, carrier_code, fence, told_until, misses, reason, payloads, due_in)$
-- Stores what a feed told, and how far.
SELECT keep_fed(
    :account_id, :carrier_code, :fence, :told_until, :misses, :reason, :payloads::bytea[], :due_in);

-- name: known_numbers(account_id, carrier_codes, number_keys)
-- Which of some numbers are of current parcels of an account.
SELECT number_key FROM known_numbers(:account_id, :carrier_codes::text[], :number_keys::text[]);

-- name: accounts_told(after, most)
-- The accounts after :after that were ever told something, in order of their ids.
SELECT DISTINCT t.account_id FROM intake_turn t WHERE t.account_id > :after
ORDER BY t.account_id LIMIT :most;

-- name: forget_pushes(account_id, before, most)$
-- Of an account's oldest payloads those that nobody could tell for so long; how many.
WITH oldest AS (
    SELECT push_id, received_at FROM push_payload
    WHERE account_id = :account_id ORDER BY push_id LIMIT :most
), gone AS (
    DELETE FROM push_payload p USING oldest o
    WHERE p.account_id = :account_id AND p.push_id = o.push_id AND o.received_at < :before
    RETURNING 1
)
SELECT count(*) FROM gone;

