-- What carriers bring to us by themselves: whom an address for it belongs to, and what was laid down
-- there and not told yet. A payload that was told is deleted here; what it said of a parcel stays
-- with that parcel, as a carrier's answer does.
CREATE TABLE push_secret (
    account_id bigint NOT NULL,
    push_secret_id bigserial,
    carrier_code text NOT NULL COLLATE "C",
    secret_hash bytea NOT NULL,
    hint text NOT NULL,
    label text NOT NULL DEFAULT '',
    proof text NOT NULL COLLATE "C",
    sealed bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    last_pushed_at timestamptz,
    PRIMARY KEY (account_id, push_secret_id),
    UNIQUE (account_id, secret_hash)
);

-- state: waiting, and what nobody could make anything of, for people to look at: unknown_number (of
-- no parcel of ours, yet), unreadable, dead (we failed each time), notice (it names no parcel).
-- due_at is when it is tried next, infinity: never. numbers: what it is about, once it was read.
CREATE TABLE push_payload (
    account_id bigint NOT NULL,
    push_id bigserial,
    carrier_code text NOT NULL COLLATE "C",
    source text NOT NULL COLLATE "C",
    received_at timestamptz NOT NULL DEFAULT now(),
    headers jsonb NOT NULL,
    payload bytea NOT NULL,
    state text NOT NULL DEFAULT 'waiting' COLLATE "C",
    reason text NOT NULL DEFAULT '',
    numbers text[] NOT NULL DEFAULT '{}',
    tries integer NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, push_id)
) WITH (fillfactor = 80);
CREATE INDEX push_payload_due ON push_payload (account_id, due_at);

-- Which accounts have something to be told: narrow, and all the worker sees of others' accounts.
CREATE TABLE intake_turn (
    account_id bigint NOT NULL,
    queue text NOT NULL COLLATE "C",
    turn_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, queue)
) WITH (fillfactor = 70);
CREATE INDEX intake_turn_at ON intake_turn (turn_at);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['push_secret', 'push_payload', 'intake_turn'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format(
            'CREATE POLICY own_account ON %I USING '
            '(account_id = nullif(current_setting(''milepost.account_id'', true), '''')::bigint)',
            tenant_table);
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO milepost_app, milepost_worker, milepost_admin',
            tenant_table);
    END LOOP;
END
$$;
CREATE POLICY worker_intake_turn ON intake_turn TO milepost_worker USING (true);
CREATE POLICY admin_intake_turn ON intake_turn TO milepost_admin USING (true);
REVOKE INSERT, DELETE ON push_secret FROM milepost_app, milepost_worker;
GRANT USAGE ON SEQUENCE push_secret_push_secret_id_seq, push_payload_push_id_seq
TO milepost_app, milepost_worker, milepost_admin;

-- The living secret that has one of these hashes, of an account that is active; else no row.
CREATE FUNCTION push_secret_of(p_account bigint, p_hashes bytea[])
RETURNS TABLE (
    push_secret_id bigint, carrier_code text, proof text, sealed bytea, secret_hash bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT s.push_secret_id, s.carrier_code, s.proof, s.sealed, s.secret_hash
    FROM push_secret s
    JOIN account a ON a.account_id = s.account_id
    WHERE s.account_id = p_account AND s.secret_hash = ANY (p_hashes)
      AND s.revoked_at IS NULL AND a.status = 'active';
END
$$;

-- Stores a payload under a secret that still lives; its id, null where the secret does not. The
-- account's turn comes last: its row is held until the commit, and nobody else's payload waits for
-- more than that.
CREATE FUNCTION keep_push(p_account bigint, p_secret bigint, p_headers jsonb, p_payload bytea)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    new_id bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE push_secret s SET last_pushed_at = now()
    WHERE s.account_id = p_account AND s.push_secret_id = p_secret AND s.revoked_at IS NULL
      AND coalesce(s.last_pushed_at < now() - interval '1 minute', true);
    INSERT INTO push_payload (account_id, carrier_code, source, headers, payload)
    SELECT s.account_id, s.carrier_code, 'push', p_headers, p_payload
    FROM push_secret s
    WHERE s.account_id = p_account AND s.push_secret_id = p_secret AND s.revoked_at IS NULL
    RETURNING push_id INTO new_id;
    IF new_id IS NOT NULL THEN
        PERFORM plan_intake(p_account, 'push', now());
    END IF;
    RETURN new_id;
END
$$;

-- A queue's turn comes at p_turn_at, or earlier where it was to.
CREATE FUNCTION plan_intake(p_account bigint, p_queue text, p_turn_at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    INSERT INTO intake_turn AS t (account_id, queue, turn_at)
    VALUES (p_account, p_queue, p_turn_at)
    ON CONFLICT (account_id, queue) DO UPDATE SET turn_at = least(t.turn_at, excluded.turn_at);
END
$$;

-- Takes due payloads, the longest due first; each counts as a try. Who dies with them lets them go
-- when p_lease is over.
CREATE FUNCTION claim_pushes(p_account bigint, p_limit integer, p_lease interval)
RETURNS TABLE (
    push_id bigint, carrier_code text, source text, received_at timestamptz, headers jsonb,
    payload bytea, tries integer, fence bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    WITH due AS (
        SELECT p.push_id FROM push_payload p
        WHERE p.account_id = p_account AND p.due_at <= now()
        ORDER BY p.due_at LIMIT p_limit
        FOR UPDATE SKIP LOCKED
    )
    UPDATE push_payload p SET due_at = now() + p_lease, tries = p.tries + 1, fence = p.fence + 1
    FROM due d
    WHERE p.account_id = p_account AND p.push_id = d.push_id
    RETURNING p.push_id, p.carrier_code, p.source, p.received_at, p.headers, p.payload, p.tries,
              p.fence;
END
$$;

-- What became of a claimed payload: gone where p_state is null, else kept in that state until p_due_in
-- seconds from now (null: for people only). Nothing where another has it meanwhile.
CREATE FUNCTION finish_push(
    p_account bigint, p_push bigint, p_fence bigint, p_state text, p_reason text, p_numbers text[],
    p_due_in double precision)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    IF p_state IS NULL THEN
        DELETE FROM push_payload p
        WHERE p.account_id = p_account AND p.push_id = p_push AND p.fence = p_fence;
    ELSE
        UPDATE push_payload p SET
            state = p_state, reason = p_reason, numbers = p_numbers,
            due_at = coalesce(now() + p_due_in * interval '1 s', 'infinity')
        WHERE p.account_id = p_account AND p.push_id = p_push AND p.fence = p_fence;
    END IF;
END
$$;

-- Plans the account's next turn by what is left. The row is locked before anything is read: a payload
-- that is being stored waits for us, or we see it.
CREATE FUNCTION plan_pushes(p_account bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    next_at timestamptz;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    PERFORM FROM intake_turn t
    WHERE t.account_id = p_account AND t.queue = 'push' FOR UPDATE;
    SELECT min(p.due_at) INTO next_at FROM push_payload p WHERE p.account_id = p_account;
    UPDATE intake_turn t SET turn_at = coalesce(next_at, 'infinity')
    WHERE t.account_id = p_account AND t.queue = 'push';
END
$$;

-- When a parcel is asked about after somebody told us of it (p_due_in seconds from now), unless nobody
-- has asked yet, or is asking now, or it is over. p_ask: it is to be asked because of that, and only a
-- parcel that is stopped is not.
CREATE FUNCTION plan_told(
    p_account bigint, p_parcel bigint, p_urgency smallint, p_due_in double precision, p_ask boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lane_code text;
    next_at timestamptz := now() + p_due_in * interval '1 s';
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE watch w SET due_at = next_at, urgency = coalesce(p_urgency, w.urgency)
    FROM parcel p
    WHERE w.account_id = p_account AND w.parcel_id = p_parcel
      AND p.account_id = p_account AND p.parcel_id = w.parcel_id AND p.stopped_at IS NULL
      AND coalesce(w.lease_until < now(), true)
      AND CASE WHEN p_ask THEN w.due_at > next_at
               ELSE w.due_at < 'infinity' AND w.last_checked_at IS NOT NULL END
    RETURNING w.carrier_code INTO lane_code;
    IF lane_code IS NOT NULL THEN
        PERFORM plan_lane(p_account, lane_code, next_at);
    END IF;
END
$$;

-- How many payloads are kept in each state and since when the first of them has been due (one that is
-- not tried any more: since it came). At most p_most accounts are looked into, who is due first.
CREATE FUNCTION intake_ages(p_most integer)
RETURNS TABLE (state text, payloads bigint, due_seconds double precision)
LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
    found_state text;
    found_count bigint;
    since timestamptz;
    counts jsonb := '{}';
    ages jsonb := '{}';
BEGIN
    FOR account IN
        SELECT t.account_id FROM intake_turn t WHERE t.queue = 'push'
        ORDER BY t.turn_at LIMIT p_most
    LOOP
        PERFORM set_config('milepost.account_id', account::text, true);
        FOR found_state, found_count, since IN
            SELECT p.state, count(*),
                   min(CASE WHEN p.due_at = 'infinity' THEN p.received_at ELSE p.due_at END)
            FROM push_payload p WHERE p.account_id = account GROUP BY p.state
        LOOP
            counts := counts || jsonb_build_object(
                found_state, coalesce((counts ->> found_state)::bigint, 0) + found_count);
            ages := ages || jsonb_build_object(found_state, greatest(
                coalesce((ages ->> found_state)::double precision, 0),
                extract(epoch FROM now() - since)));
        END LOOP;
    END LOOP;
    RETURN QUERY
    SELECT c.key, c.value::bigint, (ages ->> c.key)::double precision FROM jsonb_each_text(counts) c;
END
$$;
REVOKE EXECUTE ON FUNCTION intake_ages FROM PUBLIC;
GRANT EXECUTE ON FUNCTION intake_ages TO milepost_admin;
