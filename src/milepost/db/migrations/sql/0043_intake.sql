-- A carrier without a form of its own pushes in ours: the address says which (carrier, milepost), and
-- so does the source of what came through it (push, own).
ALTER TABLE push_secret ADD COLUMN form text NOT NULL DEFAULT 'carrier' COLLATE "C";

-- The living address that has one of these hashes, of an account that is active; else no row.
CREATE FUNCTION push_address_of(p_account bigint, p_hashes bytea[])
RETURNS TABLE (
    push_secret_id bigint, carrier_code text, form text, proof text, sealed bytea,
    secret_hash bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT s.push_secret_id, s.carrier_code, s.form, s.proof, s.sealed, s.secret_hash
    FROM push_secret s
    JOIN account a ON a.account_id = s.account_id
    WHERE s.account_id = p_account AND s.secret_hash = ANY (p_hashes)
      AND s.revoked_at IS NULL AND a.status = 'active';
END
$$;

-- As before, with the form in the source.
CREATE OR REPLACE FUNCTION keep_push(
    p_account bigint, p_secret bigint, p_headers jsonb, p_payload bytea)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    new_id bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE push_secret s SET last_pushed_at = now()
    WHERE s.account_id = p_account AND s.push_secret_id = p_secret AND s.revoked_at IS NULL
      AND coalesce(s.last_pushed_at < now() - interval '1 minute', true);
    INSERT INTO push_payload (account_id, carrier_code, source, headers, payload)
    SELECT s.account_id, s.carrier_code, CASE s.form WHEN 'milepost' THEN 'own' ELSE 'push' END,
           p_headers, p_payload
    FROM push_secret s
    WHERE s.account_id = p_account AND s.push_secret_id = p_secret AND s.revoked_at IS NULL
    RETURNING push_id INTO new_id;
    IF new_id IS NOT NULL THEN
        PERFORM plan_intake(p_account, 'push', now());
    END IF;
    RETURN new_id;
END
$$;

-- Bytes of an account's payloads that are still to be told.
CREATE FUNCTION waiting_push_bytes(p_account bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN (SELECT coalesce(sum(octet_length(p.payload)), 0) FROM push_payload p
            WHERE p.account_id = p_account AND p.due_at < 'infinity' AND p.state = 'waiting');
END
$$;

-- Takes due payloads, the longest due first, until there are 8 MB of them, but at least one: so much
-- of each turn lies in a worker's memory. Each counts as a try. Who dies with them lets them go when
-- p_lease is over.
CREATE OR REPLACE FUNCTION claim_pushes(p_account bigint, p_limit integer, p_lease interval)
RETURNS TABLE (
    push_id bigint, carrier_code text, source text, received_at timestamptz, headers jsonb,
    payload bytea, tries integer, fence bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    WITH due AS (
        SELECT p.push_id, p.due_at, octet_length(p.payload) AS bytes FROM push_payload p
        WHERE p.account_id = p_account AND p.due_at <= now()
        ORDER BY p.due_at LIMIT p_limit
        FOR UPDATE SKIP LOCKED
    ), piled AS (
        SELECT d.push_id, d.bytes, sum(d.bytes) OVER (ORDER BY d.due_at, d.push_id) AS pile
        FROM due d
    ), fitting AS (
        SELECT l.push_id FROM piled l WHERE l.pile <= 8 * 1024 * 1024 OR l.pile = l.bytes
    )
    UPDATE push_payload p SET due_at = now() + p_lease, tries = p.tries + 1, fence = p.fence + 1
    FROM fitting f
    WHERE p.account_id = p_account AND p.push_id = f.push_id
    RETURNING p.push_id, p.carrier_code, p.source, p.received_at, p.headers, p.payload, p.tries,
              p.fence;
END
$$;
