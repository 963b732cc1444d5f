-- Carriers that tell what has changed when they are asked for it: up to when they were. Everything
-- that changed before told_until is in push_payload or was told.
CREATE TABLE feed (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    told_until timestamptz NOT NULL,
    asked_at timestamptz,
    misses integer NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '',
    fence bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, carrier_code)
);
ALTER TABLE feed ENABLE ROW LEVEL SECURITY;
ALTER TABLE feed FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON feed USING
    (account_id = nullif(current_setting('milepost.account_id', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON feed TO milepost_app, milepost_worker, milepost_admin;

-- Takes a feed's turn under a lease; where it is new, told until p_since. No row: another has it.
CREATE FUNCTION claim_feed(p_account bigint, p_carrier text, p_since timestamptz, p_lease interval)
RETURNS TABLE (told_until timestamptz, misses integer, fence bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE intake_turn t SET turn_at = now() + p_lease
    WHERE t.account_id = p_account AND t.queue = 'feed:' || p_carrier AND t.turn_at <= now();
    IF NOT found THEN
        RETURN;
    END IF;
    RETURN QUERY
    INSERT INTO feed AS f (account_id, carrier_code, told_until, fence)
    VALUES (p_account, p_carrier, p_since, 1)
    ON CONFLICT (account_id, carrier_code) DO UPDATE SET fence = f.fence + 1
    RETURNING f.told_until, f.misses, f.fence;
END
$$;

-- A queue that is new, or rests, has its turn now; another keeps the one it has.
CREATE FUNCTION begin_turn(p_account bigint, p_queue text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    INSERT INTO intake_turn AS t (account_id, queue, turn_at) VALUES (p_account, p_queue, now())
    ON CONFLICT (account_id, queue) DO UPDATE SET turn_at = now() WHERE t.turn_at = 'infinity';
END
$$;

-- A queue has no turn until it is begun again.
CREATE FUNCTION rest_turn(p_account bigint, p_queue text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE intake_turn t SET turn_at = 'infinity'
    WHERE t.account_id = p_account AND t.queue = p_queue;
END
$$;

-- Which of some numbers are of current parcels of an account.
CREATE FUNCTION known_numbers(p_account bigint, p_carriers text[], p_number_keys text[])
RETURNS TABLE (number_key text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT DISTINCT n.number_key FROM tracked_number n
    WHERE n.account_id = p_account AND n.number_key = ANY (p_number_keys) AND n.kind = 'number'
      AND n.is_current AND n.carrier_code = ANY (p_carriers);
END
$$;

-- Stores what a feed told together with how far it told it, and plans its next turn: nothing is told
-- twice or not at all. False where another has asked meanwhile.
CREATE FUNCTION keep_fed(
    p_account bigint, p_carrier text, p_fence bigint, p_told_until timestamptz, p_misses integer,
    p_reason text, p_payloads bytea[], p_due_in double precision)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE feed f SET
        told_until = greatest(f.told_until, p_told_until), misses = p_misses, reason = p_reason,
        asked_at = now()
    WHERE f.account_id = p_account AND f.carrier_code = p_carrier AND f.fence = p_fence;
    IF NOT found THEN
        RETURN false;
    END IF;
    INSERT INTO push_payload (account_id, carrier_code, source, headers, payload)
    SELECT p_account, p_carrier, 'feed', '{}'::jsonb, told.payload
    FROM unnest(p_payloads) WITH ORDINALITY AS told (payload, place)
    ORDER BY told.place;
    UPDATE intake_turn t SET turn_at = now() + p_due_in * interval '1 s'
    WHERE t.account_id = p_account AND t.queue = 'feed:' || p_carrier;
    IF cardinality(p_payloads) > 0 THEN
        PERFORM plan_intake(p_account, 'push', now());
    END IF;
    RETURN true;
END
$$;
