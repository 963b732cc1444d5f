-- The accounts room in one round trip each: SECURITY INVOKER, account first, and the first line
-- sets the account for row-level security, for this transaction only.

-- The living key of that name, with what its account may do; no row when unknown or revoked.
CREATE FUNCTION authenticate_key(p_account_id bigint, p_public_key text)
RETURNS TABLE (
    key_id bigint, secret_hash bytea, v2_order text, account_name text, account_status text,
    reads_per_minute integer, writes_per_minute integer, writes_per_second integer,
    render_epoch bigint
) LANGUAGE plpgsql SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    RETURN QUERY
        SELECT key.key_id, key.secret_hash, key.v2_order, account.name, account.status,
               account.reads_per_minute, account.writes_per_minute, account.writes_per_second,
               account.render_epoch
        FROM api_key AS key
        JOIN account ON account.account_id = key.account_id
        WHERE key.account_id = p_account_id
          AND key.public_key = p_public_key
          AND key.revoked_at IS NULL;
END
$$;

-- The same for an access token: alive only as long as the key it was issued from.
CREATE FUNCTION authenticate_token(p_account_id bigint, p_token_hashes bytea[])
RETURNS TABLE (
    key_id bigint, secret_hash bytea, v2_order text, account_name text, account_status text,
    reads_per_minute integer, writes_per_minute integer, writes_per_second integer,
    render_epoch bigint
) LANGUAGE plpgsql SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    RETURN QUERY
        SELECT key.key_id, token.token_hash, key.v2_order, account.name, account.status,
               account.reads_per_minute, account.writes_per_minute, account.writes_per_second,
               account.render_epoch
        FROM access_token AS token
        JOIN api_key AS key
          ON key.account_id = token.account_id AND key.key_id = token.key_id
        JOIN account ON account.account_id = token.account_id
        WHERE token.account_id = p_account_id
          AND token.token_hash = ANY (p_token_hashes)
          AND token.expires_at > now()
          AND key.revoked_at IS NULL;
END
$$;

-- Stores a token of a living key; true when it did. Clears away the account's expired ones.
CREATE FUNCTION issue_token(
    p_account_id bigint, p_key_id bigint, p_token_hash bytea, p_scope text, p_seconds integer
) RETURNS boolean LANGUAGE plpgsql SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    DELETE FROM access_token WHERE account_id = p_account_id AND expires_at < now();
    INSERT INTO access_token (account_id, token_hash, key_id, scope, expires_at)
        SELECT key.account_id, p_token_hash, key.key_id, p_scope,
               now() + make_interval(secs => p_seconds)
        FROM api_key AS key
        WHERE key.account_id = p_account_id
          AND key.key_id = p_key_id
          AND key.revoked_at IS NULL;
    RETURN found;
END
$$;
CREATE INDEX access_token_expiry ON access_token (account_id, expires_at);

-- Takes an idempotency key, waiting for whoever holds it: no row when it is ours now (or was left
-- without an answer), else the stored answer and the fingerprint of the request it belongs to.
CREATE FUNCTION begin_idempotent(
    p_account_id bigint, p_key text, p_fingerprint bytea, p_keep_hours integer
) RETURNS TABLE (fingerprint bytea, status integer, headers jsonb, body bytea)
LANGUAGE plpgsql SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    DELETE FROM idempotency_key
        WHERE account_id = p_account_id
          AND key = p_key
          AND created_at < now() - make_interval(hours => p_keep_hours);
    INSERT INTO idempotency_key (account_id, key, fingerprint)
        VALUES (p_account_id, p_key, p_fingerprint)
        ON CONFLICT (account_id, key) DO NOTHING;
    IF NOT found THEN
        RETURN QUERY
            SELECT held.fingerprint, held.status, held.headers, held.body
            FROM idempotency_key AS held
            WHERE held.account_id = p_account_id AND held.key = p_key
            FOR UPDATE;
    END IF;
END
$$;
CREATE INDEX idempotency_key_age ON idempotency_key (account_id, created_at);

-- An account's own sealed login at a carrier, or no row.
CREATE FUNCTION account_credential(p_account_id bigint, p_carrier_code text)
RETURNS TABLE (sealed bytea) LANGUAGE plpgsql SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    RETURN QUERY
        SELECT own.sealed
        FROM carrier_credential AS own
        WHERE own.account_id = p_account_id AND own.carrier_code = p_carrier_code;
END
$$;

-- A bucket array moved on so that its last element is bucket p_newest; p_size elements always.
-- A clock set back re-dates what was spent to the present: the limit holds, nothing hangs.
CREATE FUNCTION slid_window(p_spent integer[], p_from bigint, p_newest bigint, p_size integer)
RETURNS integer[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    shift bigint := p_newest - p_from;
BEGIN
    IF shift >= p_size OR cardinality(p_spent) <> p_size THEN
        RETURN array_fill(0, ARRAY[p_size]);
    ELSIF shift <= 0 THEN
        RETURN p_spent;
    END IF;
    RETURN p_spent[shift + 1:p_size] || array_fill(0, ARRAY[shift::integer]);
END
$$;

-- After how many whole seconds each of p_denied callers will find room, if all of them wait:
-- every second promises no more than it will have. p_promised[1] is the current second.
CREATE FUNCTION promise_room(
    INOUT p_promised integer[], OUT retry_after integer[],
    p_denied integer, p_now_ms bigint,
    p_spent integer[], p_newest bigint, p_limit integer, p_buckets integer, p_bucket_ms integer,
    p_burst_spent integer[], p_newest_burst bigint, p_burst_limit integer,
    p_burst_buckets integer, p_burst_bucket_ms integer
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    last_second integer := cardinality(p_promised) - 2;
    left_then integer := (SELECT sum(one) FROM unnest(p_spent) AS one);
    gone integer := 0;
    burst_left integer := 0;
    due integer := p_promised[1] + p_promised[2];
    second integer := 1;
    advanced boolean := true;
BEGIN
    retry_after := '{}';
    FOR index IN 1..cardinality(p_burst_spent) LOOP
        IF p_newest_burst - cardinality(p_burst_spent) + index
                >= (p_now_ms + 1000) / p_burst_bucket_ms - p_burst_buckets THEN
            burst_left := burst_left + p_burst_spent[index];
        END IF;
    END LOOP;
    WHILE cardinality(retry_after) < p_denied AND second <= last_second LOOP
        IF advanced THEN
            WHILE gone < cardinality(p_spent)
                AND p_newest - cardinality(p_spent) + gone + 1
                    < (p_now_ms + second * 1000) / p_bucket_ms - p_buckets LOOP
                gone := gone + 1;
                left_then := left_then - p_spent[gone];
            END LOOP;
            advanced := false;
        END IF;
        -- Two neighbouring seconds share one burst: callers are never back to the millisecond.
        IF (p_limit = 0 OR left_then + due < p_limit)
            AND (p_burst_limit = 0 OR (
                burst_left + p_promised[second] + p_promised[second + 1] < p_burst_limit
                AND p_promised[second + 1] + p_promised[second + 2] < p_burst_limit
            )) THEN
            p_promised[second + 1] := p_promised[second + 1] + 1;
            due := due + 1;
            retry_after := retry_after || second;
        ELSE
            second := second + 1;
            due := due + coalesce(p_promised[second + 1], 0);
            burst_left := 0;
            advanced := true;
        END IF;
    END LOOP;
    IF cardinality(retry_after) < p_denied THEN
        retry_after := retry_after
            || array_fill(last_second, ARRAY[p_denied - cardinality(retry_after)]);
    END IF;
END
$$;

-- Spends up to p_wanted of an account's budget: at most p_limit in any window of
-- p_buckets * p_bucket_ms and p_burst_limit in any of p_burst_buckets * p_burst_bucket_ms (0: no
-- such limit), over all processes, by this clock. A bucket counts as long as any instant of it
-- lies in the window. p_spare more may be leased when there is plenty: they are dated at the end
-- of the lease (p_lease_buckets ahead), so that spending them later can't break the window.
-- p_returned undoes what was leased in p_returned_bucket and not spent.
CREATE FUNCTION spend_budget(
    p_account_id bigint, p_kind text, p_wanted integer, p_spare integer,
    p_returned integer, p_returned_bucket bigint,
    p_limit integer, p_buckets integer, p_bucket_ms integer, p_lease_buckets integer,
    p_burst_limit integer, p_burst_buckets integer, p_burst_bucket_ms integer,
    OUT granted integer, OUT spare integer, OUT lease_bucket bigint,
    OUT remaining integer, OUT reset_ms integer, OUT retry_after integer[]
) LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    state rate_window%ROWTYPE;
    size integer := p_buckets + 1 + p_lease_buckets;
    promise_size integer := ceil(p_buckets * p_bucket_ms / 1000.0)::integer + 3;
    now_ms bigint;
    place integer;
    free integer;
    burst_free integer;
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    -- Nothing here was acknowledged to anybody; waiting for the disk would cost more than it saves.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT * INTO state FROM rate_window
        WHERE account_id = p_account_id AND kind = p_kind FOR UPDATE;
    IF NOT found THEN
        INSERT INTO rate_window (account_id, kind) VALUES (p_account_id, p_kind)
            ON CONFLICT (account_id, kind) DO NOTHING;
        SELECT * INTO state FROM rate_window
            WHERE account_id = p_account_id AND kind = p_kind FOR UPDATE;
    END IF;
    -- Read under the lock, so that buckets never run backwards between two callers.
    now_ms := floor(extract(epoch FROM clock_timestamp()) * 1000);
    lease_bucket := now_ms / p_bucket_ms + p_lease_buckets;
    state.spent := slid_window(state.spent, state.newest_bucket, lease_bucket, size);
    state.newest_bucket := lease_bucket;
    state.burst_spent := slid_window(
        state.burst_spent, state.newest_burst_bucket, now_ms / p_burst_bucket_ms,
        p_burst_buckets + 1
    );
    state.newest_burst_bucket := now_ms / p_burst_bucket_ms;
    state.promised := slid_window(
        state.promised, state.newest_promise_second, now_ms / 1000 + promise_size - 1, promise_size
    );
    state.newest_promise_second := now_ms / 1000 + promise_size - 1;

    IF p_returned > 0 AND p_returned_bucket BETWEEN lease_bucket - size + 1 AND lease_bucket THEN
        place := size - (lease_bucket - p_returned_bucket);
        state.spent[place] := greatest(0, state.spent[place] - p_returned);
    END IF;

    free := CASE WHEN p_limit = 0 THEN 2147483647
        ELSE p_limit - (SELECT sum(one) FROM unnest(state.spent) AS one) END;
    burst_free := CASE WHEN p_burst_limit = 0 THEN 2147483647
        ELSE p_burst_limit - (SELECT sum(one) FROM unnest(state.burst_spent) AS one) END;
    granted := greatest(0, least(p_wanted, free, burst_free));
    spare := CASE WHEN granted < p_wanted THEN 0
        ELSE greatest(0, least(p_spare, (free - granted) / 8)) END;
    place := size - p_lease_buckets;
    state.spent[place] := state.spent[place] + granted;
    state.spent[size] := state.spent[size] + spare;
    place := p_burst_buckets + 1;
    state.burst_spent[place] := state.burst_spent[place] + granted;
    retry_after := '{}';
    IF granted < p_wanted THEN
        SELECT * INTO state.promised, retry_after FROM promise_room(
            state.promised, p_wanted - granted, now_ms,
            state.spent, state.newest_bucket, p_limit, p_buckets, p_bucket_ms,
            state.burst_spent, state.newest_burst_bucket, p_burst_limit,
            p_burst_buckets, p_burst_bucket_ms
        );
    END IF;

    UPDATE rate_window SET
        newest_bucket = state.newest_bucket, spent = state.spent,
        newest_burst_bucket = state.newest_burst_bucket, burst_spent = state.burst_spent,
        newest_promise_second = state.newest_promise_second, promised = state.promised
    WHERE account_id = p_account_id AND kind = p_kind;

    remaining := CASE WHEN p_limit = 0 THEN burst_free - granted
        ELSE greatest(0, free - granted - spare) END;
    place := (SELECT min(at) FROM generate_subscripts(state.spent, 1) AS at
              WHERE state.spent[at] > 0);
    reset_ms := CASE WHEN p_limit = 0 THEN p_burst_buckets * p_burst_bucket_ms
        ELSE coalesce(
            (lease_bucket - size + place + p_buckets + 1) * p_bucket_ms - now_ms, 0
        ) END;
END
$$;

-- What runs as these functions runs with the caller's rights; there are no others to hide behind.
REVOKE EXECUTE ON FUNCTION
    authenticate_key, authenticate_token, issue_token, begin_idempotent, account_credential,
    spend_budget
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    authenticate_key, authenticate_token, issue_token, begin_idempotent, account_credential,
    spend_budget
TO milepost_app, milepost_worker, milepost_admin;
