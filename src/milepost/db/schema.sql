-- Made from the migrations by `python -m milepost.db.schema`; to read, not to edit.

CREATE FUNCTION public.account_credential(p_account_id bigint, p_carrier_code text) RETURNS TABLE(sealed bytea)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    RETURN QUERY
        SELECT own.sealed
        FROM carrier_credential AS own
        WHERE own.account_id = p_account_id AND own.carrier_code = p_carrier_code;
END
$$;

CREATE FUNCTION public.admit_letter(p_account bigint, p_hashes bytea[], p_counted boolean, p_daily integer, p_hourly integer) RETURNS double precision
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    this_hour timestamptz := date_trunc('hour', now(), 'UTC');
    today timestamptz := date_trunc('day', now(), 'UTC');
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    IF EXISTS (SELECT FROM mail_refusal r
               WHERE r.account_id = p_account AND r.address_hash = ANY (p_hashes)) THEN
        RETURN -1;
    END IF;
    IF p_counted THEN
        RETURN 0;
    END IF;
    DELETE FROM mail_count c
    WHERE c.account_id = p_account AND c.counted_from < now() - interval '2 days';
    -- The account's row first: whoever counts for it waits here, and nowhere else.
    INSERT INTO mail_count AS c (account_id, address_hash, counted_from, letters)
    VALUES (p_account, '', this_hour, 0)
    ON CONFLICT (account_id, address_hash, counted_from) DO UPDATE SET letters = c.letters;
    IF p_daily > 0 AND EXISTS (
        SELECT FROM mail_count c
        WHERE c.account_id = p_account AND c.address_hash = p_hashes[1] AND c.counted_from = today
          AND c.letters >= p_daily) THEN
        RETURN -2;
    END IF;
    IF p_hourly > 0 AND EXISTS (
        SELECT FROM mail_count c
        WHERE c.account_id = p_account AND c.address_hash = '' AND c.counted_from = this_hour
          AND c.letters >= p_hourly) THEN
        RETURN greatest(1, extract(epoch FROM this_hour + interval '1 hour' - now()));
    END IF;
    UPDATE mail_count c SET letters = c.letters + 1
    WHERE c.account_id = p_account AND c.address_hash = '' AND c.counted_from = this_hour;
    INSERT INTO mail_count AS c (account_id, address_hash, counted_from, letters)
    VALUES (p_account, p_hashes[1], today, 1)
    ON CONFLICT (account_id, address_hash, counted_from) DO UPDATE SET letters = c.letters + 1;
    RETURN 0;
END
$$;

CREATE FUNCTION public.authenticate_key(p_account_id bigint, p_public_key text) RETURNS TABLE(key_id bigint, secret_hash bytea, v2_order text, account_name text, account_status text, reads_per_minute integer, writes_per_minute integer, writes_per_second integer, render_epoch bigint)
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.authenticate_token(p_account_id bigint, p_token_hashes bytea[]) RETURNS TABLE(key_id bigint, secret_hash bytea, v2_order text, account_name text, account_status text, reads_per_minute integer, writes_per_minute integer, writes_per_second integer, render_epoch bigint)
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.begin_idempotent(p_account_id bigint, p_key text, p_fingerprint bytea, p_keep_hours integer) RETURNS TABLE(fingerprint bytea, status integer, headers jsonb, body bytea)
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.begin_turn(p_account bigint, p_queue text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    INSERT INTO intake_turn AS t (account_id, queue, turn_at) VALUES (p_account, p_queue, now())
    ON CONFLICT (account_id, queue) DO UPDATE SET turn_at = now() WHERE t.turn_at = 'infinity';
END
$$;

CREATE FUNCTION public.caller_of_key(p_account_id bigint, p_public_key text) RETURNS TABLE(key_id bigint, secret_hash bytea, v2_order text, integration_id bigint, account_name text, account_status text, reads_per_minute integer, writes_per_minute integer, writes_per_second integer, render_epoch bigint)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    RETURN QUERY
        SELECT key.key_id, key.secret_hash, key.v2_order, key.integration_id, account.name,
               account.status, account.reads_per_minute, account.writes_per_minute,
               account.writes_per_second, account.render_epoch
        FROM api_key AS key
        JOIN account ON account.account_id = key.account_id
        WHERE key.account_id = p_account_id
          AND key.public_key = p_public_key
          AND key.revoked_at IS NULL;
END
$$;

CREATE FUNCTION public.caller_of_token(p_account_id bigint, p_token_hashes bytea[]) RETURNS TABLE(key_id bigint, secret_hash bytea, v2_order text, integration_id bigint, account_name text, account_status text, reads_per_minute integer, writes_per_minute integer, writes_per_second integer, render_epoch bigint)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    RETURN QUERY
        SELECT key.key_id, token.token_hash, key.v2_order, key.integration_id, account.name,
               account.status, account.reads_per_minute, account.writes_per_minute,
               account.writes_per_second, account.render_epoch
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

CREATE FUNCTION public.claim_checks(p_account bigint, p_carrier text, p_limit integer, p_lease interval) RETURNS TABLE(parcel_id bigint, fence bigint, misses integer, answer_hash bytea, tracking_number text, origin_country text, destination_country text, postal_code text, announced_at timestamp with time zone, created_at timestamp with time zone, phase text, exception text, status_type text, sub_status text, status text, status_at timestamp with time zone, first_scan_at timestamp with time zone, last_scan_at timestamp with time zone, ended_at timestamp with time zone, last_checked_at timestamp with time zone, next_deadline_at timestamp with time zone)
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN QUERY SELECT * FROM claim_due(p_account, p_carrier, p_limit, p_lease, 1);
END
$$;

CREATE FUNCTION public.claim_deadlines(p_account bigint, p_carrier text, p_limit integer, p_lease interval) RETURNS SETOF bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    taken bigint[];
    earliest timestamptz;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    taken := ARRAY(
        SELECT w.parcel_id FROM watch w
        WHERE w.account_id = p_account AND w.carrier_code = p_carrier
          AND w.next_deadline_at <= now() AND w.next_deadline_at < 'infinity'
        ORDER BY w.next_deadline_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    UPDATE watch w SET next_deadline_at = now() + p_lease
    WHERE w.account_id = p_account AND w.parcel_id = ANY (taken);
    SELECT w.next_deadline_at INTO earliest FROM watch w
    WHERE w.account_id = p_account AND w.carrier_code = p_carrier
      AND w.next_deadline_at < 'infinity'
    ORDER BY w.next_deadline_at LIMIT 1;
    UPDATE lane l SET deadline_at = least(now() + interval '6 hours', greatest(now(), earliest))
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier;
    RETURN QUERY SELECT unnest(taken);
END
$$;

CREATE FUNCTION public.claim_due(p_account bigint, p_carrier text, p_limit integer, p_lease interval, p_batch integer) RETURNS TABLE(parcel_id bigint, fence bigint, misses integer, answer_hash bytea, tracking_number text, origin_country text, destination_country text, postal_code text, announced_at timestamp with time zone, created_at timestamp with time zone, phase text, exception text, status_type text, sub_status text, status text, status_at timestamp with time zone, first_scan_at timestamp with time zone, last_scan_at timestamp with time zone, ended_at timestamp with time zone, last_checked_at timestamp with time zone, next_deadline_at timestamp with time zone)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    waiting bigint[];
    taken bigint[];
    more bigint[];
    -- By urgency, counted from 1: the latest due time of those taken, where the index is read on.
    latest timestamptz[] := array_fill('-infinity'::timestamptz, ARRAY[4]);
    last_due timestamptz;
    a_quarter integer := p_limit / 4;
    room integer;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    IF p_limit < 4 THEN
        -- A quarter of so few is none: of four in a row, over the day, one.
        SELECT (d.checks + p_limit) / 4 - d.checks / 4 INTO a_quarter FROM check_day d
        WHERE d.account_id = p_account AND d.carrier_code = p_carrier
          AND d.day = (now() AT TIME ZONE 'UTC')::date;
        a_quarter := coalesce(a_quarter, 0);
    END IF;
    -- One urgency at a time, so that the index gives the rows in order and only those due are read.
    waiting := ARRAY(
        SELECT due.parcel_id FROM generate_series(1, 3) AS level (urgency)
        CROSS JOIN LATERAL (
            SELECT w.parcel_id FROM watch w
            WHERE w.account_id = p_account AND w.carrier_code = p_carrier
              AND w.urgency = level.urgency AND w.due_at <= now()
            ORDER BY w.due_at LIMIT a_quarter
        ) AS due);
    SELECT coalesce(array_agg(t.parcel_id), '{}'),
           ARRAY[latest[1], coalesce(max(t.due_at) FILTER (WHERE t.urgency = 1), latest[2]),
                 coalesce(max(t.due_at) FILTER (WHERE t.urgency = 2), latest[3]),
                 coalesce(max(t.due_at) FILTER (WHERE t.urgency = 3), latest[4])]
    INTO taken, latest
    FROM (SELECT w.parcel_id, w.due_at, w.urgency FROM watch w
          WHERE w.account_id = p_account AND w.parcel_id = ANY (waiting) AND w.due_at <= now()
          ORDER BY w.due_at LIMIT a_quarter FOR UPDATE SKIP LOCKED) AS t;
    FOR level IN 0..3 LOOP
        EXIT WHEN cardinality(taken) >= p_limit;
        SELECT coalesce(array_agg(t.parcel_id), '{}'), max(t.due_at) INTO more, last_due
        FROM (SELECT w.parcel_id, w.due_at FROM watch w
              WHERE w.account_id = p_account AND w.carrier_code = p_carrier
                AND w.urgency = level AND w.due_at >= latest[level + 1] AND w.due_at <= now()
                AND w.parcel_id <> ALL (taken)
              ORDER BY w.due_at LIMIT p_limit - cardinality(taken) FOR UPDATE SKIP LOCKED) AS t;
        taken := taken || more;
        latest[level + 1] := greatest(latest[level + 1], last_due);
    END LOOP;
    room := least(p_limit, (cardinality(taken) + p_batch - 1) / p_batch * p_batch)
            - cardinality(taken);
    IF room > 0 THEN
        -- Taken along for nothing: the rows due first, where no more than a quarter of their wait is
        -- left. A parcel's last question has its time (urgency 3); others' rows are due when their
        -- lease ends.
        taken := taken || ARRAY(
            SELECT w.parcel_id FROM watch w
            WHERE w.account_id = p_account AND w.lease_until IS NULL AND w.due_at > now()
              AND w.parcel_id = ANY (ARRAY(
                SELECT soon.parcel_id FROM generate_series(0, 2) AS level (urgency)
                CROSS JOIN LATERAL (
                    SELECT s.parcel_id, s.due_at, s.last_checked_at FROM watch s
                    WHERE s.account_id = p_account AND s.carrier_code = p_carrier
                      AND s.urgency = level.urgency AND s.due_at > now() AND s.due_at < 'infinity'
                    ORDER BY s.due_at LIMIT room
                ) AS soon
                WHERE (soon.due_at - now()) * 4 <= soon.due_at - soon.last_checked_at))
            ORDER BY w.due_at LIMIT room FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN QUERY
    WITH claimed AS (
        UPDATE watch w SET fence = w.fence + 1, lease_until = now() + p_lease,
                           due_at = now() + p_lease
        WHERE w.account_id = p_account AND w.parcel_id = ANY (taken)
        RETURNING w.account_id, w.parcel_id, w.fence, w.misses, w.answer_hash, w.last_checked_at,
                  w.next_deadline_at
    )
    SELECT c.parcel_id, c.fence, c.misses, c.answer_hash, p.tracking_number,
           coalesce(p.request -> 'from_address' ->> 'country_code', ''),
           coalesce(p.request -> 'to_address' ->> 'country_code', ''),
           coalesce(p.request -> 'to_address' ->> 'postal_code', ''),
           p.announced_at, p.created_at, p.phase, p.exception, p.status_type, p.sub_status,
           p.status, p.status_at, p.first_scan_at, p.last_scan_at, p.ended_at, c.last_checked_at,
           nullif(c.next_deadline_at, 'infinity')
    FROM claimed c JOIN parcel p ON p.account_id = p_account AND p.parcel_id = c.parcel_id;

    -- Read on from where the claim ended: the entries before are of rows that were just taken. With a
    -- lock, so that the newest is seen. What others held meanwhile lies before as well, and they may
    -- have given it back as due as it was: looked for where nothing else is due.
    PERFORM FROM lane l WHERE l.account_id = p_account AND l.carrier_code = p_carrier FOR UPDATE;
    FOR reading IN 1..2 LOOP
        SELECT min(rest.due_at) INTO last_due FROM generate_series(0, 3) AS level (urgency)
        CROSS JOIN LATERAL (
            SELECT w.due_at FROM watch w
            WHERE w.account_id = p_account AND w.carrier_code = p_carrier
              AND w.urgency = level.urgency AND w.due_at >= latest[level.urgency + 1]
            ORDER BY w.due_at LIMIT 1
        ) AS rest;
        EXIT WHEN last_due <= now();
        latest := array_fill('-infinity'::timestamptz, ARRAY[4]);
    END LOOP;
    UPDATE lane l SET turn_at = greatest(coalesce(last_due, 'infinity'), now(), l.paused_until),
                      served_at = CASE WHEN cardinality(taken) > 0 THEN now() ELSE l.served_at END
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier
      AND l.state IN ('open', 'credential_refused');
    IF cardinality(taken) > 0 THEN
        INSERT INTO check_day AS d (account_id, day, carrier_code, checks)
        VALUES (p_account, (now() AT TIME ZONE 'UTC')::date, p_carrier, cardinality(taken))
        ON CONFLICT (account_id, day, carrier_code) DO UPDATE
        SET checks = d.checks + excluded.checks;
    END IF;
END
$$;

CREATE FUNCTION public.claim_feed(p_account bigint, p_carrier text, p_since timestamp with time zone, p_lease interval) RETURNS TABLE(told_until timestamp with time zone, misses integer, fence bigint)
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.claim_pushes(p_account bigint, p_limit integer, p_lease interval) RETURNS TABLE(push_id bigint, carrier_code text, source text, received_at timestamp with time zone, headers jsonb, payload bytea, tries integer, fence bigint)
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.claim_watches(p_account bigint, p_carrier text, p_limit integer, p_lease interval) RETURNS TABLE(parcel_id bigint, fence bigint, misses integer, answer_hash bytea, tracking_number text, origin_country text, destination_country text, postal_code text, announced_at timestamp with time zone, created_at timestamp with time zone, phase text, exception text, status_type text, sub_status text, status text, status_at timestamp with time zone, first_scan_at timestamp with time zone, last_scan_at timestamp with time zone, ended_at timestamp with time zone, last_checked_at timestamp with time zone)
    LANGUAGE plpgsql
    AS $$
DECLARE
    waiting bigint[];
    taken bigint[];
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    -- One urgency at a time, so that the index gives the rows in order and only those due are read.
    waiting := ARRAY(
        SELECT due.parcel_id FROM generate_series(1, 3) AS level (urgency)
        CROSS JOIN LATERAL (
            SELECT w.parcel_id FROM watch w
            WHERE w.account_id = p_account AND w.carrier_code = p_carrier
              AND w.urgency = level.urgency AND w.due_at <= now()
            ORDER BY w.due_at LIMIT p_limit / 4
        ) AS due);
    taken := ARRAY(
        SELECT w.parcel_id FROM watch w
        WHERE w.account_id = p_account AND w.parcel_id = ANY (waiting) AND w.due_at <= now()
        ORDER BY w.due_at LIMIT p_limit / 4 FOR UPDATE SKIP LOCKED);
    FOR level IN 0..3 LOOP
        EXIT WHEN cardinality(taken) >= p_limit;
        taken := taken || ARRAY(
            SELECT w.parcel_id FROM watch w
            WHERE w.account_id = p_account AND w.carrier_code = p_carrier
              AND w.urgency = level AND w.due_at <= now() AND w.parcel_id <> ALL (taken)
            ORDER BY w.due_at LIMIT p_limit - cardinality(taken) FOR UPDATE SKIP LOCKED);
    END LOOP;
    RETURN QUERY
    WITH claimed AS (
        UPDATE watch w SET fence = w.fence + 1, lease_until = now() + p_lease,
                           due_at = now() + p_lease
        WHERE w.account_id = p_account AND w.parcel_id = ANY (taken)
        RETURNING w.account_id, w.parcel_id, w.fence, w.misses, w.answer_hash, w.last_checked_at
    )
    SELECT c.parcel_id, c.fence, c.misses, c.answer_hash, p.tracking_number,
           coalesce(p.request -> 'from_address' ->> 'country_code', ''),
           coalesce(p.request -> 'to_address' ->> 'country_code', ''),
           coalesce(p.request -> 'to_address' ->> 'postal_code', ''),
           p.announced_at, p.created_at, p.phase, p.exception, p.status_type, p.sub_status,
           p.status, p.status_at, p.first_scan_at, p.last_scan_at, p.ended_at, c.last_checked_at
    FROM claimed c JOIN parcel p ON p.account_id = p_account AND p.parcel_id = c.parcel_id;

    UPDATE lane l SET turn_at = greatest(
        coalesce(earliest_due(p_account, p_carrier), 'infinity'), now(), l.paused_until)
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier
      AND l.state IN ('open', 'credential_refused');
END
$$;

CREATE FUNCTION public.contract_of(p_account bigint, p_carrier text) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    found_id bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT c.contract_id INTO found_id FROM contract c
    WHERE c.account_id = p_account AND c.carrier_code = p_carrier;
    IF found_id IS NULL THEN
        INSERT INTO contract (account_id, carrier_code) VALUES (p_account, p_carrier)
        ON CONFLICT (account_id, carrier_code) DO UPDATE SET carrier_code = excluded.carrier_code
        RETURNING contract_id INTO found_id;
    END IF;
    RETURN found_id;
END
$$;

CREATE FUNCTION public.count_answers(p_carrier text, p_owner text, p_answered integer, p_failed integer, p_probe bigint, p_most_faults integer, p_rest interval, p_longest interval, OUT is_open boolean, OUT changed boolean, OUT wait interval) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    budget carrier_budget%ROWTYPE;
    clock timestamptz;
BEGIN
    SELECT * INTO budget FROM carrier_budget b
    WHERE b.carrier_code = p_carrier AND b.owner = p_owner FOR UPDATE;
    clock := clock_timestamp();
    changed := false;
    IF budget.open_until IS NULL THEN
        IF budget.window_at <= clock - interval '60 s' THEN
            budget.window_at := clock;
            budget.window_asked := 0;
            budget.window_failed := 0;
        END IF;
        budget.window_asked := budget.window_asked + p_answered + p_failed;
        budget.window_failed := budget.window_failed + p_failed;
        budget.faults := CASE WHEN p_answered > 0 THEN 0 ELSE budget.faults + p_failed END;
        changed := budget.faults >= p_most_faults OR (
            budget.window_asked >= 20 AND budget.window_failed * 2 >= budget.window_asked);
        IF changed THEN
            budget.opened := 1;
            budget.open_until := clock + p_rest;
        END IF;
    ELSIF budget.probe = p_probe AND budget.probe_until IS NOT NULL THEN
        budget.probe_until := NULL;
        IF p_answered > 0 THEN
            changed := true;
            budget.open_until := NULL;
            budget.opened := 0;
            budget.faults := 0;
            budget.window_at := '-infinity';
        ELSIF p_failed > 0 THEN
            budget.open_until := clock + least(p_rest * 2 ^ least(budget.opened, 20), p_longest);
            budget.opened := budget.opened + 1;
        END IF;
    END IF;
    is_open := budget.open_until IS NOT NULL;
    wait := greatest(budget.open_until - clock, interval '1 s');
    UPDATE carrier_budget b SET
        faults = budget.faults, window_at = budget.window_at, window_asked = budget.window_asked,
        window_failed = budget.window_failed, opened = budget.opened,
        open_until = budget.open_until, probe_until = budget.probe_until
    WHERE b.carrier_code = p_carrier AND b.owner = p_owner;
END
$$;

CREATE FUNCTION public.deliver_to(p_account bigint, p_connections bigint[], p_messages bigint[], p_parcels bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    WITH wanted AS (
        SELECT d.connection_id, d.message_id, d.parcel_id, d.place,
               row_number() OVER (PARTITION BY d.connection_id, d.parcel_id ORDER BY d.place) AS nth
        FROM unnest(p_connections, p_messages, p_parcels)
            WITH ORDINALITY AS d (connection_id, message_id, parcel_id, place)
    ), added AS (
        INSERT INTO delivery (account_id, connection_id, message_id, parcel_id, due_at)
        SELECT p_account, w.connection_id, w.message_id, w.parcel_id,
               CASE WHEN w.nth > 1 OR (
                   SELECT d.delivery_id FROM delivery d
                   WHERE d.account_id = p_account AND d.connection_id = w.connection_id
                     AND d.parcel_id = w.parcel_id AND d.state = 'pending'
                   ORDER BY d.delivery_id LIMIT 1) IS NOT NULL
               THEN 'infinity' ELSE now() END
        FROM wanted w ORDER BY w.place
        RETURNING connection_id, due_at
    )
    UPDATE delivery_lane l
    -- Not before the lane may be taken: whoever looks for turns would find it in vain.
    SET turn_at = greatest(least(l.turn_at, a.due_at), l.rests_until, l.lease_until)
    FROM (SELECT connection_id, min(due_at) AS due_at FROM added GROUP BY connection_id) AS a
    WHERE l.account_id = p_account AND l.connection_id = a.connection_id
      AND a.due_at < 'infinity';
END
$$;

CREATE FUNCTION public.deliveries_since(p_account bigint, p_connection bigint, p_since timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
    low bigint;
    high bigint;
    middle bigint;
    made_at timestamptz;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT coalesce(min(d.delivery_id), 0), coalesce(max(d.delivery_id), 0) + 1 INTO low, high
    FROM delivery d WHERE d.account_id = p_account AND d.connection_id = p_connection;
    WHILE low < high LOOP
        middle := (low + high) / 2;
        SELECT d.created_at INTO made_at FROM delivery d
        WHERE d.account_id = p_account AND d.connection_id = p_connection
          AND d.delivery_id >= middle
        ORDER BY d.delivery_id LIMIT 1;
        IF made_at < p_since - interval '1 minute' THEN
            low := middle + 1;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    RETURN low;
END
$$;

CREATE FUNCTION public.delivery_ages(p_most integer) RETURNS TABLE(waits_for text, due_seconds double precision)
    LANGUAGE plpgsql
    AS $$
DECLARE
    account bigint;
    connection bigint;
    due timestamptz;
BEGIN
    FOR account, connection, waits_for IN
        (SELECT l.account_id, l.connection_id,
                CASE WHEN l.lease_until > now() THEN 'busy'
                     WHEN l.rests_until > now() THEN 'resting' ELSE 'turn' END
         FROM delivery_lane l WHERE l.state = 'open' AND l.turn_at < 'infinity'
         ORDER BY l.turn_at LIMIT p_most)
        UNION ALL
        (SELECT l.account_id, l.connection_id, l.state FROM delivery_lane l
         WHERE l.state <> 'open' ORDER BY l.account_id, l.connection_id LIMIT p_most)
    LOOP
        PERFORM set_config('milepost.account_id', account::text, true);
        SELECT min(d.due_at) INTO due FROM delivery d
        WHERE d.account_id = account AND d.connection_id = connection AND d.state = 'pending';
        due_seconds := greatest(
            0, coalesce(extract(epoch FROM now() - nullif(due, 'infinity')), 0));
        IF EXISTS (SELECT FROM account a WHERE a.account_id = account AND a.status = 'suspended') THEN
            waits_for := 'suspended';
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

CREATE FUNCTION public.drop_delivery_attempt_months(p_before timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    SET "TimeZone" TO 'UTC'
    AS $_$
DECLARE
    part text;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.delivery_attempt'::regclass
          AND c.relname ~ '^delivery_attempt_[0-9]{4}_[0-9]{2}$'
          AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= p_before
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE public.%I', part);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM public.delivery_attempt_rest WHERE started_at < p_before;
    RETURN dropped;
END
$_$;

CREATE FUNCTION public.drop_raw_payload_months(p_before timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    SET "TimeZone" TO 'UTC'
    AS $_$
DECLARE
    part text;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.raw_payload'::regclass
          AND c.relname ~ '^raw_payload_[0-9]{4}_[0-9]{2}$'
          AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= p_before
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE public.%I', part);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM public.raw_payload_rest WHERE fetched_at < p_before;
    RETURN dropped;
END
$_$;

CREATE FUNCTION public.due_deliveries(p_account bigint, p_connection bigint, p_in_hand bigint[], p_most integer) RETURNS TABLE(delivery_id bigint, parcel_id bigint, attempts integer, replayed_at timestamp with time zone, event_id text, sequence integer, action text, body bytea)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_sort TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT d.delivery_id, d.parcel_id, d.attempts, d.replayed_at, m.event_id, m.sequence, m.action,
           m.body
    FROM (
        SELECT w.delivery_id, w.message_id, w.parcel_id, w.attempts, w.replayed_at, w.due_at
        FROM delivery w
        WHERE w.account_id = p_account AND w.connection_id = p_connection AND w.state = 'pending'
          AND w.due_at <= now() AND NOT w.delivery_id = ANY (p_in_hand)
        ORDER BY w.due_at, w.delivery_id LIMIT p_most) AS d
    CROSS JOIN LATERAL (
        SELECT s.event_id, s.sequence, s.action, s.body FROM message s
        WHERE s.account_id = p_account AND s.message_id = d.message_id OFFSET 0) AS m
    ORDER BY d.due_at, d.delivery_id;
END
$$;

CREATE FUNCTION public.earliest_due(p_account bigint, p_carrier text) RETURNS timestamp with time zone
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN (SELECT min(first_due.due_at)
            FROM generate_series(0, 3) AS level (urgency)
            CROSS JOIN LATERAL (
                SELECT w.due_at FROM watch w
                WHERE w.account_id = p_account AND w.carrier_code = p_carrier
                  AND w.urgency = level.urgency
                ORDER BY w.due_at LIMIT 1
            ) AS first_due);
END
$$;

CREATE FUNCTION public.feed_heads(p_accounts bigint[]) RETURNS TABLE(account_id bigint, feed_seq bigint)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
    one bigint;
BEGIN
    FOREACH one IN ARRAY p_accounts LOOP
        PERFORM set_config('milepost.account_id', one::text, true);
        RETURN QUERY SELECT h.account_id, h.feed_seq FROM feed_head h WHERE h.account_id = one;
    END LOOP;
END
$$;

CREATE FUNCTION public.finish_checks(p_account bigint, p_carrier text, p_rows jsonb) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    written integer;
    earliest timestamptz;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    WITH finished AS (
        UPDATE watch w SET
            urgency = c.urgency,
            due_at = coalesce(now() + c.due_in * interval '1 s', 'infinity'),
            lease_until = NULL,
            misses = c.misses,
            answer_hash = decode(c.answer_hash, 'hex'),
            last_checked_at = CASE WHEN c.checked THEN now() ELSE w.last_checked_at END
        FROM jsonb_to_recordset(p_rows) AS c (
            parcel_id bigint, fence bigint, urgency smallint, due_in double precision,
            misses integer, answer_hash text, checked boolean)
        WHERE w.account_id = p_account AND w.parcel_id = c.parcel_id AND w.fence = c.fence
        RETURNING w.due_at
    )
    SELECT count(*), min(f.due_at) INTO written, earliest FROM finished f;
    IF earliest < 'infinity' THEN
        PERFORM plan_lane(p_account, p_carrier, earliest);
    END IF;
    RETURN written;
END
$$;

CREATE FUNCTION public.finish_deliveries(p_account bigint, p_connection bigint, p_fence bigint, p_revision bigint, p_deliveries bigint[], p_replayed timestamp with time zone[], p_states text[], p_due_in double precision[], p_attempts integer[], p_started timestamp with time zone[], p_milliseconds integer[], p_outcomes text[], p_statuses integer[], p_errors text[], p_headers jsonb[], p_answers bytea[], p_failures integer, p_succeeded boolean, p_rest double precision, p_reason text, p_disable boolean, p_lease interval, p_in_hand bigint[], p_most integer, p_leave boolean, p_again boolean) RETURNS TABLE(delivery_id bigint, parcel_id bigint, attempts integer, replayed_at timestamp with time zone, event_id text, sequence integer, action text, body bytea, held boolean, disabled boolean, let_go boolean, gone bigint[])
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    rest_over timestamptz := CASE WHEN p_rest > 0 THEN now() + p_rest * interval '1 s' END;
    was_open boolean;
    is_as_sent boolean := false;
    is_given_up boolean := false;
    is_held boolean;
    is_left boolean := false;
    is_old boolean;
    told record;
    there record;
    of_parcel bigint;
    counts boolean;
    noted bigint[] := '{}';
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    -- Where an answer was lost the lane may be let go already; nobody else has had it since.
    SELECT l.state = 'open', coalesce(l.lease_until < now() + p_lease / 2, true) INTO was_open, is_old
    FROM delivery_lane l
    WHERE l.account_id = p_account AND l.connection_id = p_connection AND l.fence = p_fence
    FOR UPDATE;
    is_held := FOUND;
    IF is_held THEN
        is_as_sent := coalesce(sending_revision(p_account, p_connection) = p_revision, false);
        is_given_up := p_disable AND was_open AND is_as_sent;
        is_held := was_open AND is_as_sent AND NOT is_given_up;
        IF is_as_sent THEN
            UPDATE delivery_lane l SET
                failures = p_failures,
                rests_until = rest_over,
                lease_until = CASE WHEN is_old THEN now() + p_lease ELSE l.lease_until END,
                turn_at = greatest(
                    CASE WHEN is_old THEN now() + p_lease ELSE l.turn_at END, rest_over),
                failing_since = CASE
                    WHEN p_failures = 0 THEN NULL
                    WHEN p_succeeded THEN now()
                    ELSE coalesce(l.failing_since, now()) END,
                last_success_at = CASE WHEN p_succeeded THEN now() ELSE l.last_success_at END,
                last_failure_at = CASE WHEN p_failures > 0 THEN now() ELSE l.last_failure_at END,
                state = CASE WHEN is_given_up THEN 'disabled' ELSE l.state END,
                reason = CASE WHEN was_open THEN p_reason ELSE l.reason END
            WHERE l.account_id = p_account AND l.connection_id = p_connection;
        END IF;
        IF is_given_up THEN
            INSERT INTO audit (account_id, actor, action, detail)
            VALUES (p_account, 'milepost', 'connection.disabled',
                    jsonb_build_object('connection_id', p_connection, 'reason', p_reason));
        END IF;
        FOR told IN
            SELECT r.*
            FROM unnest(p_deliveries, p_replayed, p_states, p_due_in, p_attempts, p_started)
                WITH ORDINALITY
                AS r (delivery_id, replayed_at, state, due_in, attempt, started_at, place)
        LOOP
            IF p_again THEN
                CONTINUE WHEN EXISTS (
                    SELECT FROM delivery_attempt a
                    WHERE a.account_id = p_account AND a.delivery_id = told.delivery_id
                      AND a.attempt = told.attempt AND a.started_at = told.started_at);
            END IF;
            -- One that was cancelled meanwhile stays so. Its state is asked so that no index of what is
            -- pending is offered; see the head of 0065.
            IF told.state IN ('delivered', 'cancelled') THEN
                UPDATE delivery d SET
                    state = told.state,
                    attempts = d.attempts + coalesce(told.attempt > 0, false)::integer,
                    finished_at = now()
                WHERE d.account_id = p_account AND d.delivery_id = told.delivery_id
                  AND d.state || '' = 'pending'
                RETURNING d.parcel_id INTO of_parcel;
            ELSE
                SELECT d.parcel_id, d.state, d.replayed_at INTO there FROM delivery d
                WHERE d.account_id = p_account AND d.delivery_id = told.delivery_id;
                CONTINUE WHEN NOT FOUND OR there.state <> 'pending';
                counts := is_as_sent AND there.replayed_at IS NOT DISTINCT FROM told.replayed_at;
                UPDATE delivery d SET
                    state = CASE WHEN counts THEN told.state ELSE 'pending' END,
                    attempts = d.attempts + (counts AND coalesce(told.attempt > 0, false))::integer,
                    -- An earlier one of its parcel may be replayed meanwhile, and goes first then.
                    due_at = CASE
                        WHEN counts AND told.state <> 'pending' THEN d.due_at
                        WHEN told.delivery_id > (
                            SELECT min(e.delivery_id) FROM delivery e
                            WHERE e.account_id = p_account AND e.connection_id = p_connection
                              AND e.parcel_id = there.parcel_id AND e.state = 'pending')
                            THEN 'infinity'
                        WHEN counts THEN now() + told.due_in * interval '1 s'
                        ELSE now() END,
                    finished_at = CASE WHEN counts AND told.state <> 'pending' THEN now() END
                WHERE d.account_id = p_account AND d.delivery_id = told.delivery_id
                RETURNING d.parcel_id INTO of_parcel;
            END IF;
            -- Not found: it was erased at this moment.
            IF FOUND AND told.attempt IS NOT NULL THEN
                noted[told.place] := of_parcel;
            END IF;
        END LOOP;
        INSERT INTO delivery_attempt (
            account_id, delivery_id, attempt, started_at, connection_id, parcel_id, outcome, status,
            milliseconds, error, request_headers, answer)
        SELECT p_account, t.delivery_id, t.attempt, t.started_at, p_connection, noted[t.place],
               t.outcome, t.status, t.milliseconds, t.error, t.headers, t.answer
        FROM unnest(p_deliveries, p_attempts, p_started, p_milliseconds, p_outcomes, p_statuses,
                    p_errors, p_headers, p_answers)
            WITH ORDINALITY
            AS t (delivery_id, attempt, started_at, milliseconds, outcome, status, error, headers,
                  answer, place)
        WHERE noted[t.place] IS NOT NULL
        ON CONFLICT DO NOTHING;
        PERFORM release_next(p_account, p_connection, p_deliveries);
        IF is_held THEN
            RETURN QUERY
            SELECT d.*, NULL::boolean, NULL::boolean, NULL::boolean, NULL::bigint[]
            FROM due_deliveries(p_account, p_connection, p_in_hand, p_most) AS d;
            is_left := p_leave AND NOT FOUND;
        ELSE
            is_left := p_leave;
        END IF;
        IF is_left THEN
            PERFORM leave_lane(p_account, p_connection, p_fence);
        END IF;
    END IF;
    RETURN QUERY
    SELECT NULL::bigint, NULL::bigint, NULL::integer, NULL::timestamptz, NULL::text, NULL::integer,
           NULL::text, NULL::bytea, is_held, is_given_up, is_left,
           gone_deliveries(p_account, p_in_hand);
END
$$;

CREATE FUNCTION public.finish_push(p_account bigint, p_push bigint, p_fence bigint, p_state text, p_reason text, p_numbers text[], p_due_in double precision) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.forget_old_told(p_account bigint, p_before timestamp with time zone, p_most integer) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    last_seq bigint;
    old_messages bigint[];
    behind bigint[];
    of_parcels bigint[];
    gone bigint := 0;
    there bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT max(old.feed_seq) INTO last_seq
    FROM (SELECT f.feed_seq, f.recorded_at FROM feed_event f
          WHERE f.account_id = p_account ORDER BY f.feed_seq LIMIT p_most) AS old
    WHERE old.recorded_at < p_before;
    IF last_seq IS NOT NULL THEN
        UPDATE feed_head h SET kept_from = greatest(h.kept_from, last_seq + 1)
        WHERE h.account_id = p_account;
        DELETE FROM feed_event f WHERE f.account_id = p_account AND f.feed_seq <= last_seq;
        GET DIAGNOSTICS gone = ROW_COUNT;
    END IF;
    SELECT coalesce(array_agg(old.message_id), '{}') INTO old_messages
    FROM (SELECT m.message_id FROM message m
          WHERE m.account_id = p_account AND m.created_at < p_before
          ORDER BY m.created_at LIMIT p_most) AS old
    WHERE NOT EXISTS (
        SELECT FROM feed_event f WHERE f.account_id = p_account AND f.message_id = old.message_id);
    PERFORM FROM delivery_lane l
    WHERE l.account_id = p_account AND l.connection_id IN (
        SELECT d.connection_id FROM delivery d
        WHERE d.account_id = p_account AND d.message_id = ANY (old_messages)
          AND d.state = 'pending')
    ORDER BY l.connection_id FOR UPDATE;
    WITH given_up AS (
        DELETE FROM delivery d WHERE d.account_id = p_account AND d.message_id = ANY (old_messages)
        RETURNING d.connection_id, d.parcel_id, d.state, d.due_at
    )
    SELECT array_agg(g.connection_id), array_agg(g.parcel_id) INTO behind, of_parcels
    FROM given_up g WHERE g.state = 'pending' AND g.due_at < 'infinity';
    -- What waited behind one that is given up is due; it is a new snapshot that looks for it.
    WITH released AS (
        UPDATE delivery d SET due_at = greatest(d.replayed_at, d.created_at)
        FROM unnest(behind, of_parcels) AS b (connection_id, parcel_id),
        LATERAL (
            SELECT n.delivery_id FROM delivery n
            WHERE n.account_id = p_account AND n.connection_id = b.connection_id
              AND n.parcel_id = b.parcel_id AND n.state = 'pending'
            ORDER BY n.delivery_id LIMIT 1) AS next
        WHERE d.account_id = p_account AND d.delivery_id = next.delivery_id
          AND d.due_at = 'infinity'
        RETURNING d.connection_id, d.due_at
    )
    UPDATE delivery_lane l
    SET turn_at = greatest(least(l.turn_at, r.due_at), l.rests_until, l.lease_until)
    FROM (SELECT connection_id, min(due_at) AS due_at FROM released GROUP BY connection_id) AS r
    WHERE l.account_id = p_account AND l.connection_id = r.connection_id;
    DELETE FROM message m WHERE m.account_id = p_account AND m.message_id = ANY (old_messages);
    GET DIAGNOSTICS there = ROW_COUNT;
    RETURN greatest(gone, there);
END
$$;

CREATE FUNCTION public.forget_told(p_account bigint, p_parcel bigint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    gone bigint := 0;
    there bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE feed_event f SET kind = 'erased', message_id = NULL
    WHERE f.account_id = p_account AND f.parcel_id = p_parcel;
    DELETE FROM delivery d USING message m
    WHERE d.account_id = p_account AND m.account_id = p_account
      AND m.message_id = d.message_id AND m.parcel_id = p_parcel;
    GET DIAGNOSTICS there = ROW_COUNT;
    gone := gone + there;
    -- After its deliveries: who writes down what came back holds those, and adds to these.
    DELETE FROM delivery_attempt a WHERE a.account_id = p_account AND a.parcel_id = p_parcel;
    GET DIAGNOSTICS there = ROW_COUNT;
    gone := gone + there;
    DELETE FROM message m WHERE m.account_id = p_account AND m.parcel_id = p_parcel;
    GET DIAGNOSTICS there = ROW_COUNT;
    gone := gone + there;
    DELETE FROM told_status t WHERE t.account_id = p_account AND t.parcel_id = p_parcel;
    RETURN gone;
END
$$;

CREATE FUNCTION public.gone_deliveries(p_account bigint, p_deliveries bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN ARRAY(
        SELECT t.delivery_id FROM unnest(p_deliveries) AS t (delivery_id)
        LEFT JOIN LATERAL (
            SELECT b.state FROM delivery b
            WHERE b.account_id = p_account AND b.delivery_id = t.delivery_id OFFSET 0) AS d ON true
        WHERE d.state IS DISTINCT FROM 'pending');
END
$$;

CREATE FUNCTION public.hold_carrier(p_carrier text, p_owner text, p_wait interval) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO carrier_budget (carrier_code, owner, paused_until)
    VALUES (p_carrier, p_owner, now() + p_wait)
    ON CONFLICT (carrier_code, owner) DO UPDATE
    SET paused_until = greatest(carrier_budget.paused_until, excluded.paused_until)
$$;

CREATE FUNCTION public.holders_of(p_account bigint, p_places integer[], p_carriers text[], p_number_keys text[], p_source_ids text[], p_reusable_before timestamp with time zone) RETURNS TABLE(place integer, parcel_id bigint, name text, is_over boolean)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT w.place, h.parcel_id, h.name, coalesce(p.over_since < p_reusable_before, false)
    FROM unnest(p_places) AS w (place)
    CROSS JOIN LATERAL (
        (SELECT n.parcel_id, 'tracking_number' AS name FROM tracked_number n
         WHERE n.account_id = p_account AND n.carrier_code = p_carriers[w.place]
           AND n.number_key = p_number_keys[w.place] AND n.kind = 'number' AND n.is_current
         LIMIT 1)
        UNION ALL
        (SELECT s.parcel_id, 'source_id' FROM parcel s
         WHERE s.account_id = p_account AND s.is_current AND s.source_id <> ''
           AND s.source_id = p_source_ids[w.place]
         LIMIT 1)
    ) AS h
    CROSS JOIN LATERAL (
        SELECT coalesce(p.ended_at, p.stopped_at) AS over_since FROM parcel p
        WHERE p.account_id = p_account AND p.parcel_id = h.parcel_id
        LIMIT 1
    ) AS p;
END
$$;

CREATE FUNCTION public.holds_fence(p_account bigint, p_parcel bigint, p_fence bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN EXISTS (SELECT FROM watch w WHERE w.account_id = p_account
                   AND w.parcel_id = p_parcel AND w.fence = p_fence);
END
$$;

CREATE FUNCTION public.intake_ages(p_most integer) RETURNS TABLE(state text, payloads bigint, due_seconds double precision)
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.issue_token(p_account_id bigint, p_key_id bigint, p_token_hash bytea, p_scope text, p_seconds integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.keep_answers(p_account bigint, p_parcel bigint, p_revision bigint, p_render_epoch bigint, p_etag text, p_v3_answer bytea, p_v2_answer bytea) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE parcel SET render_epoch = p_render_epoch, etag = p_etag, v3_answer = p_v3_answer,
                      v2_answer = p_v2_answer
    WHERE account_id = p_account AND parcel_id = p_parcel AND revision = p_revision
      AND render_epoch < p_render_epoch;
END
$$;

CREATE FUNCTION public.keep_carrier_hours(p_account bigint, p_rows jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    INSERT INTO carrier_hour AS h (account_id, carrier_code, slot, hour, found, not_found, refused,
                                   broken, events, unmapped, lags)
    SELECT p_account, r.carrier_code, (extract(epoch FROM r.hour) / 3600)::bigint % 25, r.hour,
           r.found, r.not_found, r.refused, r.broken, r.events, r.unmapped, r.lags
    FROM jsonb_to_recordset(p_rows) AS r (
        carrier_code text, hour timestamptz, found bigint, not_found bigint, refused bigint,
        broken bigint, events bigint, unmapped bigint, lags bigint[])
    ORDER BY r.carrier_code, r.hour
    ON CONFLICT (account_id, carrier_code, slot) DO UPDATE
    SET hour = excluded.hour,
        found = excluded.found + CASE WHEN h.hour = excluded.hour THEN h.found ELSE 0 END,
        not_found = excluded.not_found
            + CASE WHEN h.hour = excluded.hour THEN h.not_found ELSE 0 END,
        refused = excluded.refused + CASE WHEN h.hour = excluded.hour THEN h.refused ELSE 0 END,
        broken = excluded.broken + CASE WHEN h.hour = excluded.hour THEN h.broken ELSE 0 END,
        events = excluded.events + CASE WHEN h.hour = excluded.hour THEN h.events ELSE 0 END,
        unmapped = excluded.unmapped + CASE WHEN h.hour = excluded.hour THEN h.unmapped ELSE 0 END,
        lags = CASE WHEN h.hour = excluded.hour THEN ARRAY[
            h.lags[1] + excluded.lags[1], h.lags[2] + excluded.lags[2],
            h.lags[3] + excluded.lags[3], h.lags[4] + excluded.lags[4],
            h.lags[5] + excluded.lags[5], h.lags[6] + excluded.lags[6],
            h.lags[7] + excluded.lags[7], h.lags[8] + excluded.lags[8],
            h.lags[9] + excluded.lags[9], h.lags[10] + excluded.lags[10]
        ] ELSE excluded.lags END
    WHERE h.hour <= excluded.hour;
END
$$;

CREATE FUNCTION public.keep_fed(p_account bigint, p_carrier text, p_fence bigint, p_told_until timestamp with time zone, p_misses integer, p_reason text, p_payloads bytea[], p_due_in double precision) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.keep_lane(p_account bigint, p_connection bigint, p_fence bigint, p_revision bigint, p_lease interval, p_in_hand bigint[], p_most integer) RETURNS TABLE(delivery_id bigint, parcel_id bigint, attempts integer, replayed_at timestamp with time zone, event_id text, sequence integer, action text, body bytea, held boolean, disabled boolean, let_go boolean, gone bigint[])
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    leased_until timestamptz;
    is_held boolean;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT l.lease_until INTO leased_until FROM delivery_lane l
    WHERE l.account_id = p_account AND l.connection_id = p_connection AND l.fence = p_fence
      AND l.state = 'open';
    is_held := FOUND AND sending_revision(p_account, p_connection) = p_revision;
    IF is_held THEN
        IF leased_until < now() + p_lease / 2 THEN
            UPDATE delivery_lane l SET
                lease_until = now() + p_lease, turn_at = greatest(now() + p_lease, l.rests_until)
            WHERE l.account_id = p_account AND l.connection_id = p_connection AND l.fence = p_fence;
        END IF;
        RETURN QUERY
        SELECT d.*, NULL::boolean, NULL::boolean, NULL::boolean, NULL::bigint[]
        FROM due_deliveries(p_account, p_connection, p_in_hand, p_most) AS d;
    END IF;
    RETURN QUERY
    SELECT NULL::bigint, NULL::bigint, NULL::integer, NULL::timestamptz, NULL::text, NULL::integer,
           NULL::text, NULL::bytea, is_held, false, false,
           gone_deliveries(p_account, p_in_hand);
END
$$;

CREATE FUNCTION public.keep_push(p_account bigint, p_secret bigint, p_headers jsonb, p_payload bytea) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.keep_seen(p_account bigint, p_mark bigint, p_upto bigint, p_words jsonb) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    INSERT INTO usage_mark AS m (account_id, parcel_id) VALUES (p_account, p_upto)
    ON CONFLICT (account_id) DO UPDATE SET parcel_id = excluded.parcel_id
    WHERE m.parcel_id = p_mark;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO usage_day AS d (
        account_id, day, carrier_code, shipping_option, parcels, last_at)
    SELECT p.account_id, (p.created_at AT TIME ZONE 'UTC')::date, p.carrier_code,
           coalesce(p.request #>> '{ship_with,properties,shipping_option_code}', ''),
           count(*), max(p.created_at)
    FROM parcel p
    WHERE p.account_id = p_account AND p.parcel_id > p_mark AND p.parcel_id <= p_upto
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (account_id, day, carrier_code, shipping_option) DO UPDATE
    SET parcels = d.parcels + excluded.parcels, last_at = greatest(d.last_at, excluded.last_at);
    INSERT INTO parcel_search (account_id, parcel_id, words)
    SELECT p.account_id, p.parcel_id,
           array_to_tsvector(ARRAY(SELECT jsonb_array_elements_text(w.words)))
    FROM jsonb_to_recordset(p_words) AS w (parcel_id bigint, revision bigint, words jsonb)
    JOIN parcel p ON p.account_id = p_account AND p.parcel_id = w.parcel_id
                 AND p.revision = w.revision
    ON CONFLICT (account_id, parcel_id) DO NOTHING;
    RETURN true;
END
$$;

CREATE FUNCTION public.known_numbers(p_account bigint, p_carriers text[], p_number_keys text[]) RETURNS TABLE(number_key text)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT DISTINCT n.number_key FROM tracked_number n
    WHERE n.account_id = p_account AND n.number_key = ANY (p_number_keys) AND n.kind = 'number'
      AND n.is_current AND n.carrier_code = ANY (p_carriers);
END
$$;

CREATE FUNCTION public.lane_ages(p_most integer) RETURNS TABLE(account_id bigint, carrier_code text, state text, paused boolean, due_seconds double precision)
    LANGUAGE plpgsql
    AS $$
BEGIN
    FOR account_id, carrier_code, state, paused IN
        (SELECT l.account_id, l.carrier_code, l.state, coalesce(l.paused_until > now(), false)
         FROM lane l WHERE l.state = 'open' ORDER BY l.turn_at LIMIT p_most)
        UNION ALL
        (SELECT l.account_id, l.carrier_code, l.state, true
         FROM lane l WHERE l.state <> 'open' ORDER BY l.account_id, l.carrier_code LIMIT p_most)
    LOOP
        due_seconds := greatest(0, coalesce(extract(
            epoch FROM now() - nullif(earliest_due(account_id, carrier_code), 'infinity')), 0));
        RETURN NEXT;
    END LOOP;
END
$$;

CREATE FUNCTION public.lane_samples(p_account bigint, p_carrier text, p_most integer) RETURNS TABLE(origin_country text, destination_country text, announced_at timestamp with time zone, first_scan_at timestamp with time zone, delivered_at timestamp with time zone, scans jsonb)
    LANGUAGE plpgsql
    AS $$
DECLARE
    first_at timestamptz;
    few_at timestamptz;
    one_of bigint := 1;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT t.ended_at INTO few_at FROM parcel_timing t
    WHERE t.account_id = p_account AND t.carrier_code = p_carrier AND t.ended_at IS NOT NULL
    ORDER BY t.ended_at DESC OFFSET p_most - 1 LIMIT 1;
    SELECT greatest(t.ended_at, now() - interval '28 d') INTO first_at FROM parcel_timing t
    WHERE t.account_id = p_account AND t.carrier_code = p_carrier AND t.ended_at IS NOT NULL
    ORDER BY t.ended_at LIMIT 1;
    IF few_at IS NOT NULL THEN
        one_of := greatest(1, least(200, floor(
            extract(epoch FROM now() - first_at) / greatest(1, extract(epoch FROM now() - few_at)))));
    END IF;
    RETURN QUERY
    WITH ended AS (
        SELECT t.parcel_id, t.origin_country, t.destination_country, t.announced_at,
               t.first_scan_at, t.delivered_at
        FROM parcel_timing t
        WHERE t.account_id = p_account AND t.carrier_code = p_carrier AND t.ended_at IS NOT NULL
          AND t.parcel_id % one_of = 0
        ORDER BY t.ended_at DESC LIMIT p_most
    )
    SELECT d.origin_country, d.destination_country, d.announced_at, d.first_scan_at, d.delivered_at,
           (SELECT jsonb_agg(jsonb_build_array(
                e.fact #>> '{told,moment,instant}', e.fact #>> '{told,reading,0}'))
            FROM event e
            WHERE e.account_id = p_account AND e.parcel_id = d.parcel_id
              AND e.event_type = 'carrier' AND e.fact #>> '{told,moment,precision}' = 'instant')
    FROM ended d;
END
$$;

CREATE FUNCTION public.leave_lane(p_account bigint, p_connection bigint, p_fence bigint) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    next_at timestamptz;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    PERFORM FROM delivery_lane l
    WHERE l.account_id = p_account AND l.connection_id = p_connection AND l.fence = p_fence
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT min(d.due_at) INTO next_at FROM delivery d
    WHERE d.account_id = p_account AND d.connection_id = p_connection AND d.state = 'pending';
    UPDATE delivery_lane l SET
        lease_until = NULL,
        turn_at = greatest(coalesce(next_at, 'infinity'), l.rests_until, now())
    WHERE l.account_id = p_account AND l.connection_id = p_connection;
END
$$;

CREATE FUNCTION public.load_parcels(p_account bigint, p_parcels bigint[]) RETURNS TABLE(parcel_id bigint, revision bigint, carrier_code text, tracking_number text, source_id text, request jsonb, announced_at timestamp with time zone, created_at timestamp with time zone, updated_at timestamp with time zone, ended_at timestamp with time zone, stopped_at timestamp with time zone, stop_reason text, estimate jsonb, extra jsonb, event_count integer, lane_state text, epoch bigint, events jsonb)
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT p.parcel_id, p.revision, p.carrier_code, p.tracking_number, p.source_id, p.request,
           p.announced_at, p.created_at, p.updated_at, p.ended_at, p.stopped_at, p.stop_reason,
           p.estimate, p.extra, p.event_count, coalesce(l.state, 'open'),
           a.render_epoch,
           (SELECT jsonb_agg(jsonb_build_object(
                'sequence', e.sequence, 'fact', e.fact, 'recorded_at', e.recorded_at,
                'withdrawn_at', e.withdrawn_at) ORDER BY e.sequence)
            FROM event e WHERE e.account_id = p_account AND e.parcel_id = p.parcel_id)
    FROM parcel p
    JOIN account a ON a.account_id = p_account
    LEFT JOIN lane l ON l.account_id = p_account AND l.carrier_code = p.carrier_code
    WHERE p.account_id = p_account AND p.parcel_id = ANY (p_parcels);
END
$$;

CREATE FUNCTION public.load_tracked(p_account bigint, p_parcels bigint[]) RETURNS TABLE(parcel_id bigint, revision bigint, carrier_code text, tracking_number text, source_id text, request jsonb, announced_at timestamp with time zone, created_at timestamp with time zone, updated_at timestamp with time zone, ended_at timestamp with time zone, stopped_at timestamp with time zone, stop_reason text, estimate jsonb, extra jsonb, event_count integer, lane_state text, epoch bigint, events jsonb, checked_at timestamp with time zone, timing jsonb)
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT p.parcel_id, p.revision, p.carrier_code, p.tracking_number, p.source_id, p.request,
           p.announced_at, p.created_at, p.updated_at, p.ended_at, p.stopped_at, p.stop_reason,
           p.estimate, p.extra, p.event_count, coalesce(l.state, 'open'),
           a.render_epoch,
           (SELECT jsonb_agg(jsonb_build_object(
                'sequence', e.sequence, 'fact', e.fact, 'recorded_at', e.recorded_at,
                'withdrawn_at', e.withdrawn_at) ORDER BY e.sequence)
            FROM event e WHERE e.account_id = p_account AND e.parcel_id = p.parcel_id),
           w.last_checked_at,
           CASE WHEN t.parcel_id IS NOT NULL THEN jsonb_build_object(
                'first_scan_at', t.first_scan_at, 'in_delivery_at', t.in_delivery_at,
                'delivered_at', t.delivered_at, 'ended_at', t.ended_at) END
    FROM parcel p
    JOIN account a ON a.account_id = p_account
    LEFT JOIN lane l ON l.account_id = p_account AND l.carrier_code = p.carrier_code
    LEFT JOIN watch w ON w.account_id = p_account AND w.parcel_id = p.parcel_id
    LEFT JOIN parcel_timing t ON t.account_id = p_account AND t.parcel_id = p.parcel_id
    WHERE p.account_id = p_account AND p.parcel_id = ANY (p_parcels);
END
$$;

CREATE FUNCTION public.look_up(p_account bigint, p_form text, p_number_keys text[]) RETURNS TABLE(place bigint, parcel_id bigint, render_epoch bigint, etag text, answer bytea)
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT wanted.place, p.parcel_id, p.render_epoch, p.etag,
        CASE p_form WHEN 'v2' THEN p.v2_answer ELSE p.v3_answer END
    FROM unnest(p_number_keys) WITH ORDINALITY AS wanted (number_key, place)
    CROSS JOIN LATERAL (
        SELECT n.parcel_id FROM tracked_number n
        WHERE n.account_id = p_account AND n.number_key = wanted.number_key
        ORDER BY n.parcel_id DESC LIMIT 1
    ) AS newest
    JOIN parcel p ON p.account_id = p_account AND p.parcel_id = newest.parcel_id;
END
$$;

CREATE FUNCTION public.make_delivery_attempt_months(p_first date, p_months integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    SET "TimeZone" TO 'UTC'
    AS $$
DECLARE
    starts date := date_trunc('month', p_first);
    made integer := 0;
    part text;
BEGIN
    FOR ahead IN 0..least(p_months, 24) - 1 LOOP
        part := 'delivery_attempt_' || to_char(starts + ahead * interval '1 month', 'YYYY_MM');
        IF to_regclass('public.' || part) IS NULL THEN
            BEGIN
                EXECUTE format(
                    'CREATE TABLE public.%I PARTITION OF public.delivery_attempt '
                    'FOR VALUES FROM (%L) TO (%L)',
                    part, (starts + ahead * interval '1 month')::timestamptz,
                    (starts + (ahead + 1) * interval '1 month')::timestamptz);
                made := made + 1;
            EXCEPTION
                -- Another worker was first, or the net holds attempts of that month already and
                -- keeps them until they are dropped with it.
                WHEN duplicate_table OR check_violation THEN NULL;
            END;
        END IF;
    END LOOP;
    RETURN made;
END
$$;

CREATE FUNCTION public.make_raw_payload_months(p_first date, p_months integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    SET "TimeZone" TO 'UTC'
    AS $$
DECLARE
    starts date := date_trunc('month', p_first);
    made integer := 0;
    part text;
BEGIN
    FOR ahead IN 0..least(p_months, 24) - 1 LOOP
        part := 'raw_payload_' || to_char(starts + ahead * interval '1 month', 'YYYY_MM');
        IF to_regclass('public.' || part) IS NULL THEN
            BEGIN
                EXECUTE format(
                    'CREATE TABLE public.%I PARTITION OF public.raw_payload '
                    'FOR VALUES FROM (%L) TO (%L)',
                    part, (starts + ahead * interval '1 month')::timestamptz,
                    (starts + (ahead + 1) * interval '1 month')::timestamptz);
                made := made + 1;
            EXCEPTION
                -- Another worker was first, or the net holds answers of that month already and
                -- keeps them until they are dropped with it.
                WHEN duplicate_table OR check_violation THEN NULL;
            END;
        END IF;
    END LOOP;
    RETURN made;
END
$$;

CREATE FUNCTION public.outbox_accounts(p_after bigint, p_most integer) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    account bigint := p_after;
BEGIN
    FOR turn IN 1..p_most LOOP
        SELECT o.account_id INTO account FROM outbox o
        WHERE o.account_id > account ORDER BY o.account_id LIMIT 1;
        EXIT WHEN account IS NULL;
        RETURN NEXT account;
    END LOOP;
END
$$;

CREATE FUNCTION public.outbox_age(p_most integer) RETURNS double precision
    LANGUAGE plpgsql
    AS $$
DECLARE
    account bigint;
    first_at timestamptz;
    oldest timestamptz := now();
BEGIN
    FOR account IN SELECT waiting FROM outbox_accounts(0, p_most) AS waiting LOOP
        PERFORM set_config('milepost.account_id', account::text, true);
        SELECT o.recorded_at INTO first_at FROM outbox o
        WHERE o.account_id = account ORDER BY o.outbox_id LIMIT 1;
        oldest := least(oldest, first_at);
    END LOOP;
    RETURN extract(epoch FROM now() - oldest);
END
$$;

CREATE FUNCTION public.pause_lane(p_account bigint, p_carrier text, p_state text, p_wait interval) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    old_state text;
    until timestamptz := coalesce(now() + p_wait, 'infinity');
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT l.state INTO old_state FROM lane l
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier FOR UPDATE;
    UPDATE lane SET state = p_state, paused_until = until, turn_at = until
    WHERE account_id = p_account AND carrier_code = p_carrier;
    RETURN old_state IS DISTINCT FROM p_state;
END
$$;

CREATE FUNCTION public.pause_lane(p_account bigint, p_carrier text, p_state text, p_wait interval, p_login_carrier text, p_own_login bytea) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    stored bytea;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    PERFORM 1 FROM lane l
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier FOR UPDATE;
    -- Read with the lane in hand, in a statement of its own: that sees what was committed while the
    -- lane was waited for.
    SELECT sha256(c.sealed) INTO stored FROM carrier_credential c
    WHERE c.account_id = p_account AND c.carrier_code = p_login_carrier;
    IF stored IS DISTINCT FROM p_own_login THEN
        RETURN false;
    END IF;
    RETURN pause_lane(p_account, p_carrier, p_state, p_wait);
END
$$;

CREATE FUNCTION public.plan_deadline(p_account bigint, p_carrier text, p_deadline timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    PERFORM 1 FROM lane l
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier AND l.deadline_at > p_deadline;
    IF FOUND THEN
        UPDATE lane l SET deadline_at = p_deadline
        WHERE l.account_id = p_account AND l.carrier_code = p_carrier AND l.deadline_at > p_deadline;
    END IF;
END
$$;

CREATE FUNCTION public.plan_intake(p_account bigint, p_queue text, p_turn_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    INSERT INTO intake_turn AS t (account_id, queue, turn_at)
    VALUES (p_account, p_queue, p_turn_at)
    ON CONFLICT (account_id, queue) DO UPDATE SET turn_at = least(t.turn_at, excluded.turn_at);
END
$$;

CREATE FUNCTION public.plan_lane(p_account bigint, p_carrier text, p_turn_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    PERFORM 1 FROM lane l
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier
      AND (l.state NOT IN ('open', 'credential_refused')
           OR l.turn_at <= greatest(p_turn_at, l.paused_until));
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO lane (account_id, carrier_code, turn_at) VALUES (p_account, p_carrier, p_turn_at)
    ON CONFLICT (account_id, carrier_code) DO UPDATE
    SET turn_at = greatest(least(lane.turn_at, excluded.turn_at), lane.paused_until)
    WHERE lane.state IN ('open', 'credential_refused');
END
$$;

CREATE FUNCTION public.plan_old_deadlines(p_account bigint, p_carrier text, p_after bigint, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    seen bigint[];
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    seen := ARRAY(
        SELECT w.parcel_id FROM watch w
        WHERE w.account_id = p_account AND w.parcel_id > p_after
        ORDER BY w.parcel_id LIMIT p_limit);
    UPDATE watch w SET next_deadline_at = CASE
        WHEN p.ended_at IS NULL AND p.stopped_at IS NULL
        THEN now() + w.parcel_id % 86400 * interval '1 s' ELSE 'infinity' END
    FROM parcel p
    WHERE w.account_id = p_account AND w.parcel_id = ANY (seen) AND w.carrier_code = p_carrier
      AND w.next_deadline_at IS NULL
      AND p.account_id = p_account AND p.parcel_id = w.parcel_id;
    IF cardinality(seen) < p_limit THEN
        UPDATE lane l SET deadline_at = now()
        WHERE l.account_id = p_account AND l.carrier_code = p_carrier AND l.deadline_at IS NULL;
        RETURN NULL;
    END IF;
    RETURN seen[cardinality(seen)];
END
$$;

CREATE FUNCTION public.plan_pushes(p_account bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.plan_told(p_account bigint, p_parcel bigint, p_urgency smallint, p_due_in double precision, p_ask boolean) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.promise_room(INOUT p_promised integer[], OUT retry_after integer[], p_denied integer, p_now_ms bigint, p_spent integer[], p_newest bigint, p_limit integer, p_buckets integer, p_bucket_ms integer, p_burst_spent integer[], p_newest_burst bigint, p_burst_limit integer, p_burst_buckets integer, p_burst_bucket_ms integer) RETURNS record
    LANGUAGE plpgsql IMMUTABLE
    AS $$
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

CREATE FUNCTION public.push_address_of(p_account bigint, p_hashes bytea[]) RETURNS TABLE(push_secret_id bigint, carrier_code text, form text, proof text, sealed bytea, secret_hash bytea)
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.push_secret_of(p_account bigint, p_hashes bytea[]) RETURNS TABLE(push_secret_id bigint, carrier_code text, proof text, sealed bytea, secret_hash bytea)
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.raise_render_epoch(p_account bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE account SET render_epoch = render_epoch + 1 WHERE account_id = p_account;
END
$$;

CREATE FUNCTION public.read_answers(p_account bigint, p_number_keys text[]) RETURNS TABLE(number_key text, parcel_id bigint, render_epoch bigint, etag text, v3_answer bytea, v2_answer bytea)
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT wanted.number_key, p.parcel_id, p.render_epoch, p.etag, p.v3_answer, p.v2_answer
    FROM unnest(p_number_keys) AS wanted (number_key)
    CROSS JOIN LATERAL (
        SELECT n.parcel_id FROM tracked_number n
        WHERE n.account_id = p_account AND n.number_key = wanted.number_key
        ORDER BY n.parcel_id DESC LIMIT 1
    ) AS newest
    JOIN parcel p ON p.account_id = p_account AND p.parcel_id = newest.parcel_id;
END
$$;

CREATE FUNCTION public.read_feed(p_account bigint, p_after bigint, p_most integer) RETURNS TABLE(head bigint, kept_from bigint, feed_seq bigint, kind text, parcel_id bigint, sequence integer, recorded_at timestamp with time zone, event_id text, body bytea)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT h.feed_seq, h.kept_from, told.feed_seq, told.kind, told.parcel_id, told.sequence,
           told.recorded_at, told.event_id, told.body
    FROM feed_head h
    LEFT JOIN LATERAL (
        SELECT f.feed_seq, f.kind, f.parcel_id, f.sequence, f.recorded_at, m.event_id, m.body
        FROM feed_event f
        LEFT JOIN message m ON m.account_id = p_account AND m.message_id = f.message_id
        WHERE f.account_id = p_account AND f.feed_seq > p_after
        ORDER BY f.feed_seq LIMIT p_most
    ) AS told ON true
    WHERE h.account_id = p_account
    ORDER BY told.feed_seq;
END
$$;

CREATE FUNCTION public.record_many(p_account bigint, p_now timestamp with time zone, p_quiet boolean, p_parcels bigint[], p_revisions bigint[], p_columns jsonb[], p_v3_answers bytea[], p_v2_answers bytea[]) RETURNS SETOF bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    one record;
    written boolean;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    FOR one IN
        SELECT g.parcel_id, g.revision, g.v3, g.v2, c.*
        FROM unnest(p_parcels, p_revisions, p_columns, p_v3_answers, p_v2_answers)
                 AS g (parcel_id, revision, given, v3, v2)
        CROSS JOIN LATERAL jsonb_to_record(g.given) AS c (
            state jsonb, new jsonb, revised jsonb, dropped integer[], told jsonb, watch jsonb,
            deadline timestamptz, timing jsonb)
        -- Two who record the same parcels wait for each other once, and not each for the other.
        -- Those that plan a deadline, and may hold their lane for it, come last.
        ORDER BY c.deadline IS NOT NULL, g.parcel_id
    LOOP
        IF p_quiet THEN
            written := record_quietly(
                p_account, one.parcel_id, one.revision, NULL, p_now, one.state, one.v3, one.v2,
                one.new, one.revised, one.dropped, one.told, one.watch, one.deadline, one.timing,
                NULL, NULL);
        ELSE
            written := record_observation(
                p_account, one.parcel_id, one.revision, NULL, p_now, one.state, one.v3, one.v2,
                one.new, one.revised, one.dropped, one.told, one.watch, one.deadline, one.timing,
                NULL, NULL);
        END IF;
        IF written THEN
            RETURN NEXT one.parcel_id;
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION public.record_observation(p_account bigint, p_parcel bigint, p_revision bigint, p_fence bigint, p_now timestamp with time zone, p_state jsonb, p_v3_answer bytea, p_v2_answer bytea, p_new_events jsonb, p_revised_events jsonb, p_dropped integer[], p_told jsonb, p_watch jsonb, p_deadline timestamp with time zone, p_timing jsonb, p_raw bytea, p_raw_type text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    lane_code text;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    WITH parcel_row AS (
        UPDATE parcel p SET
            revision = p.revision + 1,
            updated_at = (p_state ->> 'updated_at')::timestamptz,
            phase = p_state ->> 'phase',
            exception = p_state ->> 'exception',
            status_type = p_state ->> 'status_type',
            sub_status = p_state ->> 'sub_status',
            status = p_state ->> 'status',
            status_at = (p_state ->> 'status_at')::timestamptz,
            first_scan_at = (p_state ->> 'first_scan_at')::timestamptz,
            last_scan_at = (p_state ->> 'last_scan_at')::timestamptz,
            ended_at = (p_state ->> 'ended_at')::timestamptz,
            stopped_at = (p_state ->> 'stopped_at')::timestamptz,
            stop_reason = p_state ->> 'stop_reason',
            estimate = nullif(p_state -> 'estimate', 'null'::jsonb),
            extra = p_state -> 'extra',
            event_count = (p_state ->> 'event_count')::integer,
            render_epoch = (p_state ->> 'render_epoch')::bigint,
            etag = p_state ->> 'etag',
            v3_answer = p_v3_answer,
            v2_answer = p_v2_answer
        WHERE p.account_id = p_account AND p.parcel_id = p_parcel AND p.revision = p_revision
          AND (p_fence IS NULL OR EXISTS (
              SELECT FROM watch w
              WHERE w.account_id = p_account AND w.parcel_id = p_parcel AND w.fence = p_fence))
        RETURNING p.account_id, p.parcel_id, p.carrier_code, p.created_at, p.announced_at
    ), dropped AS (
        DELETE FROM event e USING parcel_row r
        WHERE e.account_id = p_account AND e.account_id = r.account_id
          AND e.parcel_id = r.parcel_id AND e.sequence = ANY (p_dropped)
    ), revised AS (
        UPDATE event e SET
            event_key = c.event_key, carrier_code = c.carrier_code, raw_code = c.raw_code,
            mapping_version = c.mapping_version, fact = c.fact, withdrawn_at = c.withdrawn_at
        FROM parcel_row r, jsonb_to_recordset(p_revised_events) AS c (
            sequence integer, event_key text, carrier_code text, raw_code text,
            mapping_version integer, fact jsonb, withdrawn_at timestamptz)
        WHERE e.account_id = p_account AND e.account_id = r.account_id
          AND e.parcel_id = r.parcel_id AND e.sequence = c.sequence
    ), added AS (
        INSERT INTO event (
            account_id, parcel_id, sequence, event_key, event_type, carrier_code, raw_code,
            mapping_version, fact, recorded_at)
        SELECT r.account_id, r.parcel_id, c.sequence, c.event_key, c.event_type, c.carrier_code,
               c.raw_code, c.mapping_version, c.fact, p_now
        FROM parcel_row r, jsonb_to_recordset(p_new_events) AS c (
            sequence integer, event_key text, event_type text, carrier_code text, raw_code text,
            mapping_version integer, fact jsonb)
        RETURNING account_id, parcel_id, sequence
    ), told AS (
        INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)
        SELECT a.account_id, a.parcel_id, a.sequence, 'event', p_now FROM added a
        UNION ALL
        SELECT r.account_id, r.parcel_id, c.sequence, c.kind, p_now
        FROM parcel_row r, jsonb_to_recordset(p_told) AS c (sequence integer, kind text)
    ), timed AS (
        INSERT INTO parcel_timing (
            account_id, parcel_id, carrier_code, origin_country, destination_country,
            registered_at, announced_at, first_scan_at, in_delivery_at, delivered_at, ended_at)
        SELECT r.account_id, r.parcel_id, r.carrier_code, p_timing ->> 'origin_country',
               p_timing ->> 'destination_country', r.created_at, r.announced_at,
               (p_timing ->> 'first_scan_at')::timestamptz,
               (p_timing ->> 'in_delivery_at')::timestamptz,
               (p_timing ->> 'delivered_at')::timestamptz,
               (p_timing ->> 'ended_at')::timestamptz
        FROM parcel_row r WHERE p_timing IS NOT NULL
        ON CONFLICT (account_id, parcel_id) DO UPDATE SET
            first_scan_at = excluded.first_scan_at, in_delivery_at = excluded.in_delivery_at,
            delivered_at = excluded.delivered_at, ended_at = excluded.ended_at
    ), answered AS (
        INSERT INTO raw_payload (
            account_id, parcel_id, fetched_at, carrier_code, content_type, payload)
        SELECT r.account_id, r.parcel_id, p_now, r.carrier_code, p_raw_type, p_raw
        FROM parcel_row r WHERE p_raw IS NOT NULL
        ON CONFLICT DO NOTHING
    ), watched AS (
        UPDATE watch w SET
            urgency = coalesce((p_watch ->> 'urgency')::smallint, w.urgency),
            due_at = CASE WHEN p_watch IS NULL THEN w.due_at ELSE coalesce(
                now() + (p_watch ->> 'due_in')::double precision * interval '1 s',
                'infinity') END,
            lease_until = CASE WHEN p_watch IS NULL THEN w.lease_until END,
            misses = coalesce((p_watch ->> 'misses')::integer, w.misses),
            answer_hash = CASE WHEN p_watch IS NULL THEN w.answer_hash
                               ELSE decode(p_watch ->> 'answer_hash', 'hex') END,
            last_checked_at = CASE WHEN p_watch IS NULL THEN w.last_checked_at ELSE now() END,
            next_deadline_at = coalesce(p_deadline, 'infinity')
        FROM parcel_row r
        WHERE w.account_id = p_account
          AND w.account_id = r.account_id AND w.parcel_id = r.parcel_id
          AND (p_fence IS NULL OR w.fence = p_fence)
          AND (p_watch IS NOT NULL
               OR w.next_deadline_at IS DISTINCT FROM coalesce(p_deadline, 'infinity'))
    )
    SELECT r.carrier_code INTO lane_code FROM parcel_row r;
    IF lane_code IS NULL THEN
        RETURN false;
    END IF;
    IF p_watch ->> 'due_in' IS NOT NULL THEN
        PERFORM plan_lane(
            p_account, p_watch ->> 'carrier_code',
            now() + (p_watch ->> 'due_in')::double precision * interval '1 s');
    END IF;
    IF p_deadline IS NOT NULL THEN
        PERFORM plan_deadline(p_account, lane_code, p_deadline);
    END IF;
    RETURN true;
END
$$;

CREATE FUNCTION public.record_parcel(p_account bigint, p_parcel bigint, p_revision bigint, p_fence bigint, p_now timestamp with time zone, p_state jsonb, p_v3_answer bytea, p_v2_answer bytea, p_new_events jsonb, p_revised_events jsonb, p_dropped integer[], p_watch jsonb) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    written boolean;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    WITH parcel_row AS (
        UPDATE parcel p SET
            revision = p.revision + 1,
            updated_at = p_now,
            phase = p_state ->> 'phase',
            exception = p_state ->> 'exception',
            status_type = p_state ->> 'status_type',
            sub_status = p_state ->> 'sub_status',
            status = p_state ->> 'status',
            status_at = (p_state ->> 'status_at')::timestamptz,
            first_scan_at = (p_state ->> 'first_scan_at')::timestamptz,
            last_scan_at = (p_state ->> 'last_scan_at')::timestamptz,
            ended_at = (p_state ->> 'ended_at')::timestamptz,
            stopped_at = (p_state ->> 'stopped_at')::timestamptz,
            stop_reason = p_state ->> 'stop_reason',
            estimate = nullif(p_state -> 'estimate', 'null'::jsonb),
            extra = p_state -> 'extra',
            event_count = (p_state ->> 'event_count')::integer,
            render_epoch = (p_state ->> 'render_epoch')::bigint,
            etag = p_state ->> 'etag',
            v3_answer = p_v3_answer,
            v2_answer = p_v2_answer
        WHERE p.account_id = p_account AND p.parcel_id = p_parcel AND p.revision = p_revision
          AND (p_fence IS NULL OR EXISTS (
              SELECT FROM watch w
              WHERE w.account_id = p_account AND w.parcel_id = p_parcel AND w.fence = p_fence))
        RETURNING p.account_id, p.parcel_id
    ), dropped AS (
        DELETE FROM event e USING parcel_row r
        WHERE e.account_id = p_account AND e.account_id = r.account_id
          AND e.parcel_id = r.parcel_id AND e.sequence = ANY (p_dropped)
    ), revised AS (
        UPDATE event e SET
            event_key = c.event_key, carrier_code = c.carrier_code, raw_code = c.raw_code,
            mapping_version = c.mapping_version, fact = c.fact, withdrawn_at = c.withdrawn_at
        FROM parcel_row r, jsonb_to_recordset(p_revised_events) AS c (
            sequence integer, event_key text, carrier_code text, raw_code text,
            mapping_version integer, fact jsonb, withdrawn_at timestamptz)
        WHERE e.account_id = p_account AND e.account_id = r.account_id
          AND e.parcel_id = r.parcel_id AND e.sequence = c.sequence
    ), added AS (
        INSERT INTO event (
            account_id, parcel_id, sequence, event_key, event_type, carrier_code, raw_code,
            mapping_version, fact, recorded_at)
        SELECT r.account_id, r.parcel_id, c.sequence, c.event_key, c.event_type, c.carrier_code,
               c.raw_code, c.mapping_version, c.fact, p_now
        FROM parcel_row r, jsonb_to_recordset(p_new_events) AS c (
            sequence integer, event_key text, event_type text, carrier_code text, raw_code text,
            mapping_version integer, fact jsonb)
        RETURNING account_id, parcel_id, sequence
    ), told AS (
        INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)
        SELECT a.account_id, a.parcel_id, a.sequence, 'event', p_now FROM added a
    ), watched AS (
        UPDATE watch w SET
            urgency = (p_watch ->> 'urgency')::smallint,
            due_at = coalesce(now() + (p_watch ->> 'due_in')::double precision * interval '1 s',
                              'infinity'),
            lease_until = NULL,
            misses = (p_watch ->> 'misses')::integer,
            answer_hash = decode(p_watch ->> 'answer_hash', 'hex'),
            last_checked_at = now()
        FROM parcel_row r
        WHERE p_watch IS NOT NULL AND w.account_id = p_account
          AND w.account_id = r.account_id AND w.parcel_id = r.parcel_id
          AND (p_fence IS NULL OR w.fence = p_fence)
    )
    SELECT EXISTS (SELECT FROM parcel_row) INTO written;
    IF written AND p_watch ->> 'due_in' IS NOT NULL THEN
        PERFORM plan_lane(
            p_account, p_watch ->> 'carrier_code',
            now() + (p_watch ->> 'due_in')::double precision * interval '1 s');
    END IF;
    RETURN written;
END
$$;

CREATE FUNCTION public.record_quietly(p_account bigint, p_parcel bigint, p_revision bigint, p_fence bigint, p_now timestamp with time zone, p_state jsonb, p_v3_answer bytea, p_v2_answer bytea, p_new_events jsonb, p_revised_events jsonb, p_dropped integer[], p_told jsonb, p_watch jsonb, p_deadline timestamp with time zone, p_timing jsonb, p_raw bytea, p_raw_type text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    told_before bigint := nextval('outbox_outbox_id_seq');
BEGIN
    IF NOT record_observation(
        p_account, p_parcel, p_revision, p_fence, p_now, p_state, p_v3_answer, p_v2_answer,
        p_new_events, p_revised_events, p_dropped, p_told, p_watch, p_deadline, p_timing, p_raw,
        p_raw_type)
    THEN
        RETURN false;
    END IF;
    -- The parcel's row is locked, so what is there about it beyond that id is of this record alone.
    DELETE FROM outbox o
    WHERE o.account_id = p_account AND o.outbox_id > told_before AND o.parcel_id = p_parcel;
    RETURN true;
END
$$;

CREATE FUNCTION public.record_rereading(p_account bigint, p_parcel bigint, p_revision bigint, p_fence bigint, p_now timestamp with time zone, p_state jsonb, p_v3_answer bytea, p_v2_answer bytea, p_new_events jsonb, p_revised_events jsonb, p_dropped integer[], p_told jsonb, p_watch jsonb, p_deadline timestamp with time zone, p_timing jsonb, p_raw bytea, p_raw_type text, p_quiet boolean) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    written boolean;
    due timestamptz := now() + (p_watch ->> 'due_in')::double precision * interval '1 s';
BEGIN
    IF p_quiet THEN
        written := record_quietly(
            p_account, p_parcel, p_revision, p_fence, p_now, p_state, p_v3_answer, p_v2_answer,
            p_new_events, p_revised_events, p_dropped, p_told, NULL, p_deadline, p_timing, p_raw,
            p_raw_type);
    ELSE
        written := record_observation(
            p_account, p_parcel, p_revision, p_fence, p_now, p_state, p_v3_answer, p_v2_answer,
            p_new_events, p_revised_events, p_dropped, p_told, NULL, p_deadline, p_timing, p_raw,
            p_raw_type);
    END IF;
    IF NOT written OR p_watch IS NULL THEN
        RETURN written;
    END IF;
    UPDATE watch SET
        urgency = (p_watch ->> 'urgency')::smallint, due_at = coalesce(due, 'infinity'),
        fence = fence + 1, lease_until = NULL, misses = 0, answer_hash = NULL
    WHERE account_id = p_account AND parcel_id = p_parcel;
    IF due IS NOT NULL THEN
        PERFORM plan_lane(p_account, p_watch ->> 'carrier_code', due);
    END IF;
    RETURN true;
END
$$;

CREATE FUNCTION public.refuse_letters(p_account bigint, p_hash bytea) RETURNS void
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    INSERT INTO mail_refusal (account_id, address_hash) VALUES (p_account, p_hash)
    ON CONFLICT DO NOTHING;
END
$$;

CREATE FUNCTION public.register_moved(p_account bigint, p_carriers text[], p_number_keys text[], p_source_ids text[], p_rows jsonb, p_now timestamp with time zone, p_reusable_before timestamp with time zone, p_urgency smallint, p_asleep integer[], p_quiet boolean) RETURNS TABLE(place integer, parcel_id bigint, taken text, taken_by bigint)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    -- Whatever goes into the outbox from here on has a greater id.
    told_before bigint := nextval('outbox_outbox_id_seq');
    one record;
    stored bigint[] := '{}';
    asleep bigint[] := '{}';
BEGIN
    FOR one IN
        SELECT r.place, r.parcel_id, r.taken, r.taken_by
        FROM register_parcels(p_account, p_carriers, p_number_keys, p_source_ids, p_rows, p_now,
                              p_reusable_before, p_urgency) AS r
    LOOP
        place := one.place;
        parcel_id := one.parcel_id;
        taken := one.taken;
        taken_by := one.taken_by;
        RETURN NEXT;
        IF one.taken = '' THEN
            stored := stored || one.parcel_id;
            IF one.place = ANY (p_asleep) THEN
                asleep := asleep || one.parcel_id;
            END IF;
        END IF;
    END LOOP;
    IF cardinality(asleep) > 0 THEN
        UPDATE watch w SET due_at = 'infinity'
        WHERE w.account_id = p_account AND w.parcel_id = ANY (asleep);
    END IF;
    IF p_quiet AND cardinality(stored) > 0 THEN
        DELETE FROM outbox o
        WHERE o.account_id = p_account AND o.outbox_id > told_before
          AND o.parcel_id = ANY (stored);
    END IF;
END
$$;

CREATE FUNCTION public.register_parcel(p_account bigint, p_carrier text, p_number text, p_number_key text, p_identifier_key text, p_source_id text, p_request jsonb, p_announced_at timestamp with time zone, p_now timestamp with time zone, p_reusable_before timestamp with time zone, p_state jsonb, p_event jsonb, p_urgency smallint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    new_id bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    WITH alike AS (
        SELECT n.parcel_id FROM tracked_number n
        WHERE n.account_id = p_account AND n.carrier_code = p_carrier
          AND n.number_key = p_number_key AND n.kind = 'number' AND n.is_current
        UNION
        SELECT s.parcel_id FROM parcel s
        WHERE s.account_id = p_account AND s.is_current AND s.source_id <> ''
          AND s.source_id = p_source_id
    ), retired AS (
        UPDATE parcel p SET is_current = false, revision = p.revision + 1
        WHERE p.account_id = p_account AND p.is_current
          AND coalesce(p.ended_at, p.stopped_at) < p_reusable_before
          AND p.parcel_id IN (SELECT a.parcel_id FROM alike a)
        RETURNING p.account_id, p.parcel_id
    )
    UPDATE tracked_number n SET is_current = false FROM retired r
    WHERE n.account_id = p_account AND n.account_id = r.account_id AND n.parcel_id = r.parcel_id;

    INSERT INTO parcel (
        account_id, carrier_code, tracking_number, source_id, request, announced_at, created_at,
        updated_at, phase, exception, status_type, sub_status, status, status_at, event_count
    ) VALUES (
        p_account, p_carrier, p_number, p_source_id, p_request, p_announced_at, p_now, p_now,
        p_state ->> 'phase', p_state ->> 'exception', p_state ->> 'status_type',
        p_state ->> 'sub_status', p_state ->> 'status', (p_state ->> 'status_at')::timestamptz, 1
    ) ON CONFLICT DO NOTHING RETURNING parcel_id INTO new_id;
    IF new_id IS NULL THEN
        RAISE EXCEPTION 'source_id is taken' USING ERRCODE = 'unique_violation';
    END IF;

    INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
    VALUES (p_account, new_id, p_carrier, p_number_key, 'number') ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'number is taken' USING ERRCODE = 'unique_violation';
    END IF;
    IF p_identifier_key <> '' AND p_identifier_key <> p_number_key THEN
        INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
        VALUES (p_account, new_id, p_carrier, p_identifier_key, 'identifier');
    END IF;

    INSERT INTO event (
        account_id, parcel_id, sequence, event_key, event_type, carrier_code, raw_code,
        mapping_version, fact, recorded_at
    ) VALUES (
        p_account, new_id, 1, p_event ->> 'event_key', p_event ->> 'event_type',
        p_event ->> 'carrier_code', p_event ->> 'raw_code',
        (p_event ->> 'mapping_version')::integer, p_event -> 'fact', p_now
    );
    INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)
    VALUES (p_account, new_id, 1, 'event', p_now);
    INSERT INTO watch (account_id, carrier_code, parcel_id, urgency, due_at)
    VALUES (p_account, p_carrier, new_id, p_urgency, now());
    -- An open lane's turn comes at once; a paused one keeps its pause. Written only when it moves,
    -- so that a busy merchant's registrations don't queue behind one row.
    PERFORM plan_lane(p_account, p_carrier, now());
    RETURN new_id;
END
$$;

CREATE FUNCTION public.register_parcels(p_account bigint, p_carriers text[], p_number_keys text[], p_source_ids text[], p_rows jsonb, p_now timestamp with time zone, p_reusable_before timestamp with time zone, p_urgency smallint) RETURNS TABLE(place integer, parcel_id bigint, taken text, taken_by bigint)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    -- 1 to the number of rows: unlike a SELECT, an expression of functions alone costs nothing.
    waiting integer[] := array_positions(array_fill(0, ARRAY[cardinality(p_carriers)]), 0);
    tried integer[];
    stored integer[];
    stored_ids bigint[];
    unnamed bigint[];
    holder record;
    refused integer[];
    over_places integer[] := '{}';
    over bigint[] := '{}';
    freed bigint[];
    carriers text[];
    carrier text;
    lanes text[] := '{}';
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    WHILE cardinality(waiting) > 0 LOOP
        -- 1. Of rows that name the same, the first; the others see next time what became of it.
        tried := waiting;
        IF cardinality(waiting) > 1 THEN
            tried := ARRAY(
                SELECT f.place FROM (
                    SELECT w.place,
                           row_number() OVER (
                               PARTITION BY p_carriers[w.place], p_number_keys[w.place]
                               ORDER BY w.place) AS of_number,
                           row_number() OVER (
                               PARTITION BY p_source_ids[w.place] ORDER BY w.place) AS of_source,
                           p_source_ids[w.place] AS source_id
                    FROM unnest(waiting) AS w (place)
                ) AS f
                WHERE f.of_number = 1 AND (f.of_source = 1 OR f.source_id = '')
                ORDER BY f.place);
        END IF;

        -- 2. Parcels that have been over for long enough give up their names.
        IF cardinality(over) > 0 THEN
            freed := retire_parcels(p_account, ARRAY(
                SELECT o.parcel_id FROM unnest(over_places, over) AS o (place, parcel_id)
                WHERE o.place = ANY (tried)
            ), p_reusable_before);
        END IF;

        -- 3. Take their names, in one order by everybody, so that two batches of the same parcels
        -- wait for each other once, and not each for the other.
        WITH given AS MATERIALIZED (
            SELECT t.place, nextval('parcel_parcel_id_seq') AS new_id,
                   p_rows -> (t.place - 1) AS given
            FROM unnest(tried) AS t (place)
        ), registered AS (
            INSERT INTO parcel (
                account_id, parcel_id, carrier_code, tracking_number, source_id, request,
                announced_at, created_at, updated_at, phase, exception, status_type, sub_status,
                status, status_at, event_count)
            SELECT p_account, g.new_id, p_carriers[g.place], g.given ->> 'tracking_number',
                   p_source_ids[g.place], g.given -> 'request',
                   (g.given ->> 'announced_at')::timestamptz, p_now, p_now,
                   g.given ->> 'phase', g.given ->> 'exception', g.given ->> 'status_type',
                   g.given ->> 'sub_status', g.given ->> 'status',
                   (g.given ->> 'status_at')::timestamptz, 1
            FROM given g ORDER BY p_source_ids[g.place], g.place
            ON CONFLICT DO NOTHING RETURNING parcel_id
        ), numbered AS (
            INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
            SELECT p_account, g.new_id, p_carriers[g.place], p_number_keys[g.place], 'number'
            FROM registered r JOIN given g ON g.new_id = r.parcel_id
            ORDER BY p_carriers[g.place], p_number_keys[g.place]
            ON CONFLICT DO NOTHING RETURNING parcel_id
        )
        SELECT array_agg(g.place) FILTER (WHERE n.parcel_id IS NOT NULL),
               array_agg(n.parcel_id) FILTER (WHERE n.parcel_id IS NOT NULL),
               array_agg(r.parcel_id) FILTER (WHERE n.parcel_id IS NULL)
        INTO stored, stored_ids, unnamed
        FROM given g
        LEFT JOIN registered r ON r.parcel_id = g.new_id
        LEFT JOIN numbered n ON n.parcel_id = g.new_id;

        -- 4. The rest of those that got them.
        IF stored IS NOT NULL THEN
            WITH given AS MATERIALIZED (
                SELECT s.place, s.new_id, p_rows -> (s.place - 1) AS given
                FROM unnest(stored, stored_ids) AS s (place, new_id)
            ), aliased AS (
                INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
                SELECT p_account, g.new_id, p_carriers[g.place], g.given ->> 'identifier_key',
                       'identifier'
                FROM given g
                WHERE g.given ->> 'identifier_key' NOT IN ('', p_number_keys[g.place])
            ), first_event AS (
                INSERT INTO event (
                    account_id, parcel_id, sequence, event_key, event_type, carrier_code, raw_code,
                    mapping_version, fact, recorded_at)
                SELECT p_account, g.new_id, 1, g.given ->> 'event_key', g.given ->> 'event_type',
                       g.given ->> 'event_carrier', g.given ->> 'raw_code',
                       (g.given ->> 'mapping_version')::integer, g.given -> 'fact', p_now
                FROM given g
            ), told AS (
                INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)
                SELECT p_account, g.new_id, 1, 'event', p_now FROM given g
            ), watched AS (
                INSERT INTO watch (
                    account_id, carrier_code, parcel_id, urgency, due_at, next_deadline_at)
                SELECT p_account, p_carriers[g.place], g.new_id, p_urgency, now(),
                       (g.given ->> 'next_deadline_at')::timestamptz
                FROM given g
            ), found_by AS (
                INSERT INTO parcel_search (account_id, parcel_id, words)
                SELECT p_account, g.new_id, array_to_tsvector(
                           ARRAY(SELECT jsonb_array_elements_text(g.given -> 'words')))
                FROM given g
            )
            SELECT array_agg(DISTINCT p_carriers[g.place]) INTO carriers FROM given g;
            lanes := lanes || carriers;
            FOR nth IN 1 .. cardinality(stored) LOOP
                place := stored[nth];
                parcel_id := stored_ids[nth];
                taken := '';
                taken_by := NULL;
                RETURN NEXT;
            END LOOP;
            EXIT WHEN cardinality(stored) = cardinality(waiting);
            waiting := ARRAY(
                SELECT w.place FROM unnest(waiting) AS w (place)
                WHERE w.place <> ALL (stored) ORDER BY w.place);
        END IF;

        -- 5. A row that got one name of two gives it back. One whose names were freed for it has
        -- lost them to somebody faster; its freeing would have to be undone too, so the whole is
        -- repeated instead.
        DELETE FROM parcel p WHERE p.account_id = p_account AND p.parcel_id = ANY (unnamed);
        IF cardinality(freed) > 0 AND cardinality(tried) > coalesce(cardinality(stored), 0)
        THEN
            RAISE EXCEPTION 'a number was registered at the same time'
                USING ERRCODE = 'serialization_failure';
        END IF;

        -- 6. Who has the names of the others: refused for good, or theirs in the next round.
        refused := '{}';
        over_places := '{}';
        over := '{}';
        freed := NULL;
        FOR holder IN
            SELECT h.place, h.parcel_id, h.name, h.is_over
            FROM holders_of(p_account, waiting, p_carriers, p_number_keys, p_source_ids,
                            p_reusable_before) AS h
            ORDER BY h.place, h.name DESC
        LOOP
            IF holder.is_over THEN
                over_places := over_places || holder.place;
                over := over || holder.parcel_id;
            ELSIF holder.place <> ALL (refused) THEN
                place := holder.place;
                parcel_id := NULL;
                taken := holder.name;
                taken_by := holder.parcel_id;
                RETURN NEXT;
                refused := refused || place;
            END IF;
        END LOOP;
        waiting := ARRAY(
            SELECT w.place FROM unnest(waiting) AS w (place)
            WHERE w.place <> ALL (refused) ORDER BY w.place);
    END LOOP;

    -- An open lane's turn comes at once; a paused one keeps its pause. Written only when it moves,
    -- so that a busy merchant's registrations don't queue behind one row.
    FOREACH carrier IN ARRAY lanes LOOP
        PERFORM plan_lane(p_account, carrier, now());
    END LOOP;
END
$$;

CREATE FUNCTION public.release_next(p_account bigint, p_connection bigint, p_deliveries bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    its_turn bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    FOR its_turn IN
        SELECT n.delivery_id
        FROM (
            SELECT DISTINCT f.parcel_id
            FROM unnest(p_deliveries) AS t (delivery_id)
            CROSS JOIN LATERAL (
                SELECT b.parcel_id FROM delivery b
                WHERE b.account_id = p_account AND b.delivery_id = t.delivery_id OFFSET 0) AS f) AS p
        CROSS JOIN LATERAL (
            SELECT e.delivery_id, e.due_at FROM delivery e
            WHERE e.account_id = p_account AND e.connection_id = p_connection
              AND e.parcel_id = p.parcel_id AND e.state = 'pending'
            ORDER BY e.delivery_id LIMIT 1) AS n
        WHERE n.due_at = 'infinity'
    LOOP
        UPDATE delivery d SET due_at = greatest(d.replayed_at, d.created_at)
        WHERE d.account_id = p_account AND d.delivery_id = its_turn AND d.due_at = 'infinity';
    END LOOP;
END
$$;

CREATE FUNCTION public.renew_leases(p_account bigint, p_parcels bigint[], p_fences bigint[], p_lease interval) RETURNS SETOF bigint
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    UPDATE watch w SET lease_until = now() + p_lease, due_at = now() + p_lease
    FROM unnest(p_parcels, p_fences) AS held (parcel_id, fence)
    WHERE w.account_id = p_account AND w.parcel_id = held.parcel_id AND w.fence = held.fence
      AND w.lease_until IS NOT NULL
    RETURNING w.parcel_id;
END
$$;

CREATE FUNCTION public.repair_lane(p_account bigint, p_carrier text) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    earliest timestamptz := earliest_due(p_account, p_carrier);
BEGIN
    IF earliest <= now() THEN
        PERFORM plan_lane(p_account, p_carrier, earliest);
    END IF;
END
$$;

CREATE FUNCTION public.repair_lanes(p_account bigint, p_carriers text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    carrier text;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    FOREACH carrier IN ARRAY p_carriers LOOP
        PERFORM repair_lane(p_account, carrier);
    END LOOP;
END
$$;

CREATE FUNCTION public.replay_deliveries(p_account bigint, p_connection bigint, p_deliveries bigint[]) RETURNS integer
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    is_in_hand boolean;
    replayed integer;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT coalesce(l.lease_until > now(), false) INTO is_in_hand FROM delivery_lane l
    WHERE l.account_id = p_account AND l.connection_id = p_connection FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE delivery d SET
        replayed_at = now(), state = 'pending', attempts = 0, finished_at = NULL,
        due_at = CASE WHEN d.state = 'pending' THEN d.due_at ELSE 'infinity' END
    WHERE d.account_id = p_account AND d.connection_id = p_connection
      AND d.delivery_id = ANY (p_deliveries);
    GET DIAGNOSTICS replayed = ROW_COUNT;
    UPDATE delivery d
    SET due_at = CASE WHEN d.delivery_id = o.first_id
        THEN least(d.due_at, now()) ELSE 'infinity' END
    FROM (
        SELECT min(w.delivery_id) AS first_id,
               min(w.delivery_id) FILTER (WHERE w.due_at < 'infinity') AS timed_id,
               min(w.due_at) AS due_at
        FROM delivery w
        WHERE w.account_id = p_account AND w.connection_id = p_connection AND w.state = 'pending'
          AND w.parcel_id IN (
              SELECT g.parcel_id FROM delivery g
              WHERE g.account_id = p_account AND g.delivery_id = ANY (p_deliveries))
        GROUP BY w.parcel_id) AS o
    WHERE d.account_id = p_account AND d.delivery_id = ANY (ARRAY[o.first_id, o.timed_id])
      AND (o.timed_id IS NULL OR o.timed_id = o.first_id OR o.due_at > now() OR NOT is_in_hand);
    UPDATE delivery_lane l SET turn_at = greatest(least(l.turn_at, now()), l.rests_until, l.lease_until)
    WHERE l.account_id = p_account AND l.connection_id = p_connection;
    RETURN replayed;
END
$$;

CREATE FUNCTION public.rest_lane(p_account bigint, p_carrier text, p_wait interval) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE lane SET paused_until = greatest(paused_until, now() + p_wait),
                    turn_at = greatest(paused_until, now() + p_wait)
    WHERE account_id = p_account AND carrier_code = p_carrier
      AND state IN ('open', 'credential_refused');
END
$$;

CREATE FUNCTION public.rest_turn(p_account bigint, p_queue text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE intake_turn t SET turn_at = 'infinity'
    WHERE t.account_id = p_account AND t.queue = p_queue;
END
$$;

CREATE FUNCTION public.retire_parcels(p_account bigint, p_parcels bigint[], p_reusable_before timestamp with time zone) RETURNS bigint[]
    LANGUAGE plpgsql
    AS $$
DECLARE
    retired bigint[];
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    retired := ARRAY(
        SELECT p.parcel_id FROM parcel p
        WHERE p.account_id = p_account AND p.parcel_id = ANY (p_parcels) AND p.is_current
          AND coalesce(p.ended_at, p.stopped_at) < p_reusable_before
        ORDER BY p.parcel_id FOR UPDATE);
    UPDATE parcel p SET is_current = false, revision = p.revision + 1
    WHERE p.account_id = p_account AND p.parcel_id = ANY (retired);
    UPDATE tracked_number n SET is_current = false
    WHERE n.account_id = p_account AND n.parcel_id = ANY (retired);
    RETURN retired;
END
$$;

CREATE FUNCTION public.return_carrier_slots(p_carrier text, p_owner text, p_spacing interval, p_start_at timestamp with time zone, p_granted integer, p_unused integer) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
    budget record;
BEGIN
    SELECT b.ctid AS place, b.next_slot_at INTO budget FROM carrier_budget b
    WHERE b.carrier_code = p_carrier AND b.owner >= p_owner AND b.owner <= p_owner
    ORDER BY b.owner DESC LIMIT 1 FOR UPDATE;
    IF budget.next_slot_at = p_start_at + p_granted * p_spacing THEN
        UPDATE carrier_budget b SET next_slot_at = p_start_at + (p_granted - p_unused) * p_spacing
        WHERE b.ctid = budget.place AND b.carrier_code = p_carrier AND b.owner = p_owner;
    END IF;
END
$$;

CREATE FUNCTION public.search_parcels(p_account bigint, p_words tsquery, p_most integer) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    AS $$
BEGIN
    IF p_account IS DISTINCT FROM
       nullif(current_setting('milepost.account_id', true), '')::bigint THEN
        RAISE EXCEPTION 'not the account that is set' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY SELECT s.parcel_id FROM parcel_search s
    WHERE s.account_id = p_account AND s.words @@ p_words LIMIT p_most;
END
$$;

CREATE FUNCTION public.sending_revision(p_account bigint, p_connection bigint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    revision bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT hash_record_extended(
        ROW(c.form, c.url, c.settings, c.sealed, c.signing_key, c.former_key), 0) INTO revision
    FROM connection c WHERE c.account_id = p_account AND c.connection_id = p_connection;
    RETURN revision;
END
$$;

CREATE FUNCTION public.slid_window(p_spent integer[], p_from bigint, p_newest bigint, p_size integer) RETURNS integer[]
    LANGUAGE plpgsql IMMUTABLE
    AS $$
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

CREATE FUNCTION public.spend_budget(p_account_id bigint, p_kind text, p_wanted integer, p_spare integer, p_returned integer, p_returned_bucket bigint, p_limit integer, p_buckets integer, p_bucket_ms integer, p_lease_buckets integer, p_burst_limit integer, p_burst_buckets integer, p_burst_bucket_ms integer, OUT granted integer, OUT spare integer, OUT lease_bucket bigint, OUT remaining integer, OUT reset_ms integer, OUT retry_after integer[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.take_carrier_slots(p_carrier text, p_owner text, p_spacing interval, p_horizon interval, p_most integer, OUT granted integer, OUT start_at timestamp with time zone, OUT wait interval) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    clock timestamptz;
BEGIN
    INSERT INTO carrier_budget (carrier_code, owner) VALUES (p_carrier, p_owner)
    ON CONFLICT (carrier_code, owner) DO NOTHING;
    SELECT greatest(b.next_slot_at, b.paused_until) INTO start_at FROM carrier_budget b
    WHERE b.carrier_code = p_carrier AND b.owner = p_owner FOR UPDATE;
    -- The row may have been waited for: the clock is read after the lock.
    clock := clock_timestamp();
    start_at := greatest(start_at, clock);
    wait := start_at - clock;
    IF wait > p_horizon THEN
        granted := 0;
    ELSIF p_spacing <= interval '0' THEN
        -- Without a limit there is nothing to space; what the carrier asked for holds all the same.
        granted := p_most;
    ELSE
        granted := least(p_most, 1 + floor(
            extract(epoch FROM p_horizon - wait) / extract(epoch FROM p_spacing))::integer);
        UPDATE carrier_budget SET next_slot_at = start_at + granted * p_spacing
        WHERE carrier_code = p_carrier AND owner = p_owner;
    END IF;
END
$$;

CREATE FUNCTION public.take_lane(p_account bigint, p_connection bigint, p_lease interval, p_most integer) RETURNS TABLE(fence bigint, failures integer, failing_since timestamp with time zone, kind text, form text, url text, settings jsonb, sealed bytea, signing_key bytea, former_key bytea, former_key_until timestamp with time zone, revision bigint, delivery_id bigint, parcel_id bigint, attempts integer, replayed_at timestamp with time zone, event_id text, sequence integer, action text, body bytea)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE delivery_lane l SET
        fence = l.fence + 1, lease_until = now() + p_lease, turn_at = now() + p_lease
    WHERE l.account_id = p_account AND l.connection_id = p_connection
      AND l.state = 'open' AND l.turn_at <= now()
      AND coalesce(l.lease_until <= now(), true) AND coalesce(l.rests_until <= now(), true)
    RETURNING l.fence, l.failures, l.failing_since INTO fence, failures, failing_since;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- The connection and its revision by one snapshot, which is newer than the lane's lock.
    SELECT c.kind, c.form, c.url, c.settings, c.sealed, c.signing_key, c.former_key,
           c.former_key_until, sending_revision(p_account, p_connection)
    INTO kind, form, url, settings, sealed, signing_key, former_key, former_key_until, revision
    FROM connection c WHERE c.account_id = p_account AND c.connection_id = p_connection;
    RETURN NEXT;
    RETURN QUERY
    SELECT take_lane.fence, take_lane.failures, take_lane.failing_since, NULL::text, NULL::text,
           NULL::text, NULL::jsonb, NULL::bytea, NULL::bytea, NULL::bytea, NULL::timestamptz,
           NULL::bigint, d.*
    FROM due_deliveries(p_account, p_connection, '{}', p_most) AS d;
END
$$;

CREATE FUNCTION public.take_slots(p_carrier text, p_owner text, p_spacing interval, p_horizon interval, p_most integer, p_probe bigint, p_probe_lease interval, OUT granted integer, OUT start_at timestamp with time zone, OUT wait interval, OUT clock timestamp with time zone, OUT why text, OUT probe bigint, OUT troubled boolean) RETURNS record
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
    budget record;
BEGIN
    FOR turn IN 1..2 LOOP
        SELECT b.ctid AS place, b.* INTO budget FROM carrier_budget b
        WHERE b.carrier_code = p_carrier AND b.owner >= p_owner AND b.owner <= p_owner
        ORDER BY b.owner DESC LIMIT 1 FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO carrier_budget (carrier_code, owner) VALUES (p_carrier, p_owner)
        ON CONFLICT (carrier_code, owner) DO NOTHING;
    END LOOP;
    -- The row may have been waited for: the clock is read after the lock.
    clock := clock_timestamp();
    granted := 0;
    why := '';
    troubled := budget.open_until IS NOT NULL OR budget.faults > 0
                OR budget.window_at > clock - interval '60 s';
    start_at := greatest(budget.next_slot_at, budget.paused_until, clock);
    wait := start_at - clock;
    IF EXISTS (SELECT FROM carrier_pause p WHERE p.carrier_code = p_carrier) THEN
        why := 'paused';
        wait := greatest(wait, interval '300 s');
    ELSIF budget.open_until > clock THEN
        why := 'open';
        wait := greatest(wait, budget.open_until - clock);
    ELSIF budget.open_until IS NOT NULL AND budget.probe_until > clock
          AND budget.probe IS DISTINCT FROM p_probe THEN
        why := 'open';
        wait := greatest(wait, least(budget.probe_until - clock, interval '5 s'));
    ELSIF wait > p_horizon THEN
        why := 'quota';
    ELSE
        granted := CASE
            WHEN budget.open_until IS NOT NULL THEN 1
            WHEN p_spacing <= interval '0' THEN p_most
            ELSE least(p_most, 1 + floor(
                extract(epoch FROM p_horizon - wait) / extract(epoch FROM p_spacing))::integer)
        END;
        IF budget.open_until IS NOT NULL THEN
            probe := CASE WHEN budget.probe = p_probe THEN p_probe ELSE budget.probe + 1 END;
        END IF;
        UPDATE carrier_budget b SET
            next_slot_at = CASE WHEN p_spacing <= interval '0' THEN b.next_slot_at
                                ELSE take_slots.start_at + take_slots.granted * p_spacing END,
            probe = coalesce(take_slots.probe, b.probe),
            probe_until = CASE WHEN take_slots.probe IS NULL THEN b.probe_until
                               ELSE take_slots.clock + p_probe_lease END
        WHERE b.ctid = budget.place AND b.carrier_code = p_carrier AND b.owner = p_owner
          AND (p_spacing > interval '0' OR take_slots.probe IS NOT NULL);
    END IF;
END
$$;

CREATE FUNCTION public.take_to_learn(p_account bigint, p_carrier text, p_every interval) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE lane l SET learnt_at = now()
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier
      AND (l.learnt_at IS NULL OR l.learnt_at <= now() - p_every);
    RETURN FOUND;
END
$$;

CREATE FUNCTION public.tell(p_account bigint, p_outbox bigint[], p_message_parcel bigint[], p_message_sequence integer[], p_message_event text[], p_message_action text[], p_message_form text[], p_message_body bytea[], p_feed_parcel bigint[], p_feed_sequence integer[], p_feed_kind text[], p_feed_recorded timestamp with time zone[], p_feed_message integer[], p_delivery_connection bigint[], p_delivery_message integer[], p_status_parcel bigint[], p_status text[]) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    messages bigint[];
    before bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    PERFORM FROM delivery_lane l
    WHERE l.account_id = p_account AND l.connection_id = ANY (p_delivery_connection)
    ORDER BY l.connection_id FOR UPDATE;
    SELECT array_agg(numbered.id ORDER BY numbered.place) INTO messages
    FROM (SELECT place, nextval('message_message_id_seq') AS id
          FROM generate_series(1, cardinality(p_message_parcel)) AS place) AS numbered;
    INSERT INTO message (account_id, message_id, parcel_id, sequence, event_id, action, form, body)
    SELECT p_account, messages[m.place], m.parcel_id, m.sequence, m.event_id, m.action, m.form,
           m.body
    FROM unnest(p_message_parcel, p_message_sequence, p_message_event, p_message_action,
                p_message_form, p_message_body)
        WITH ORDINALITY AS m (parcel_id, sequence, event_id, action, form, body, place);
    UPDATE feed_head h SET feed_seq = h.feed_seq + cardinality(p_feed_parcel)
    WHERE h.account_id = p_account
    RETURNING h.feed_seq - cardinality(p_feed_parcel) INTO before;
    INSERT INTO feed_event (
        account_id, feed_seq, parcel_id, sequence, kind, recorded_at, message_id)
    SELECT p_account, before + f.place, f.parcel_id, f.sequence, f.kind, f.recorded_at,
           messages[nullif(f.message, 0)]
    FROM unnest(p_feed_parcel, p_feed_sequence, p_feed_kind, p_feed_recorded, p_feed_message)
        WITH ORDINALITY AS f (parcel_id, sequence, kind, recorded_at, message, place);
    PERFORM deliver_to(
        p_account, p_delivery_connection,
        ARRAY(SELECT messages[d.message]
              FROM unnest(p_delivery_message) WITH ORDINALITY AS d (message, place)
              ORDER BY d.place),
        ARRAY(SELECT p_message_parcel[d.message]
              FROM unnest(p_delivery_message) WITH ORDINALITY AS d (message, place)
              ORDER BY d.place));
    INSERT INTO told_status AS t (account_id, parcel_id, status)
    SELECT p_account, s.parcel_id, s.status
    FROM unnest(p_status_parcel, p_status) AS s (parcel_id, status)
    ON CONFLICT (account_id, parcel_id) DO UPDATE SET status = excluded.status;
    DELETE FROM outbox o WHERE o.account_id = p_account AND o.outbox_id = ANY (p_outbox);
    RETURN before;
END
$$;

CREATE FUNCTION public.tell_connection(p_account bigint, p_connection bigint, p_event text, p_action text, p_form text, p_body bytea) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    made bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    PERFORM FROM delivery_lane l
    WHERE l.account_id = p_account AND l.connection_id = p_connection FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO message (account_id, parcel_id, event_id, action, form, body)
    VALUES (p_account, 0, p_event, p_action, p_form, p_body)
    RETURNING message_id INTO made;
    PERFORM deliver_to(p_account, ARRAY[p_connection], ARRAY[made], ARRAY[0]::bigint[]);
    RETURN true;
END
$$;

CREATE FUNCTION public.uncount_checks(p_account bigint, p_carrier text, p_unasked integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE check_day SET checks = greatest(0, checks - p_unasked)
    WHERE account_id = p_account AND carrier_code = p_carrier
      AND day = (now() AT TIME ZONE 'UTC')::date;
END
$$;

CREATE FUNCTION public.unseen_parcels(p_account bigint, p_most integer) RETURNS TABLE(parcel_id bigint, revision bigint, carrier_code text, tracking_number text, source_id text, request jsonb, has_words boolean, mark bigint)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    seen bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    seen := coalesce((SELECT m.parcel_id FROM usage_mark m WHERE m.account_id = p_account), 0);
    RETURN QUERY
    SELECT p.parcel_id, p.revision, p.carrier_code, p.tracking_number, p.source_id, p.request,
           EXISTS (SELECT FROM parcel_search s
                   WHERE s.account_id = p_account AND s.parcel_id = p.parcel_id), seen
    FROM parcel p
    WHERE p.account_id = p_account AND p.parcel_id > seen
      AND p.created_at < now() - interval '2 minutes'
    ORDER BY p.parcel_id LIMIT p_most;
END
$$;

CREATE FUNCTION public.wait_for_slot(p_account bigint, p_carrier text, p_wait interval, p_gap interval) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE lane l SET paused_until = greatest(l.paused_until, w.turn_at),
                      turn_at = greatest(l.paused_until, w.turn_at)
    FROM (SELECT now() + p_wait - interval '0.9 s' * (s.waited / (s.waited + 1 + 8 * s.gap)) AS turn_at
          FROM (SELECT extract(epoch FROM p_gap)::float8 AS gap,
                       extract(epoch FROM now() - coalesce(o.served_at, now() - interval '30 d'))::float8
                           AS waited
                FROM lane o WHERE o.account_id = p_account AND o.carrier_code = p_carrier) AS s) AS w
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier
      AND l.state IN ('open', 'credential_refused');
END
$$;

CREATE FUNCTION public.waiting_push_bytes(p_account bigint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN (SELECT coalesce(sum(octet_length(p.payload)), 0) FROM push_payload p
            WHERE p.account_id = p_account AND p.due_at < 'infinity' AND p.state = 'waiting');
END
$$;

CREATE FUNCTION public.wake_lane(p_account bigint, p_carrier text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    old_state text;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE watch SET due_at = now()
    WHERE account_id = p_account AND carrier_code = p_carrier
      AND due_at > now() AND due_at < 'infinity' AND lease_until IS NULL;
    SELECT l.state INTO old_state FROM lane l
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier FOR UPDATE;
    UPDATE lane SET state = 'open', paused_until = NULL, turn_at = now()
    WHERE account_id = p_account AND carrier_code = p_carrier;
    RETURN coalesce(old_state, 'open') <> 'open';
END
$$;

CREATE TABLE public.access_token (
    account_id bigint NOT NULL,
    token_hash bytea NOT NULL,
    key_id bigint NOT NULL,
    scope text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.access_token FORCE ROW LEVEL SECURITY;

CREATE TABLE public.account (
    account_id bigint NOT NULL,
    name text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    reads_per_minute integer DEFAULT 1000 NOT NULL,
    writes_per_minute integer DEFAULT 100 NOT NULL,
    writes_per_second integer DEFAULT 15 NOT NULL,
    render_epoch bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT account_status_check CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text])))
);

ALTER TABLE ONLY public.account FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.account_account_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.account_account_id_seq OWNED BY public.account.account_id;

CREATE TABLE public.api_key (
    account_id bigint NOT NULL,
    key_id bigint NOT NULL,
    public_key text NOT NULL COLLATE pg_catalog."C",
    secret_hash bytea NOT NULL,
    label text DEFAULT ''::text NOT NULL,
    v2_order text DEFAULT 'newest'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    integration_id bigint,
    CONSTRAINT api_key_v2_order_check CHECK ((v2_order = ANY (ARRAY['newest'::text, 'oldest'::text])))
);

ALTER TABLE ONLY public.api_key FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.api_key_key_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.api_key_key_id_seq OWNED BY public.api_key.key_id;

CREATE TABLE public.audit (
    account_id bigint NOT NULL,
    audit_id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    parcel_id bigint,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

ALTER TABLE ONLY public.audit FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.audit_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.audit_audit_id_seq OWNED BY public.audit.audit_id;

CREATE TABLE public.carrier_budget (
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    next_slot_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    paused_until timestamp with time zone,
    faults integer DEFAULT 0 NOT NULL,
    window_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    window_asked integer DEFAULT 0 NOT NULL,
    window_failed integer DEFAULT 0 NOT NULL,
    opened integer DEFAULT 0 NOT NULL,
    open_until timestamp with time zone,
    probe bigint DEFAULT 0 NOT NULL,
    probe_until timestamp with time zone
)
WITH (fillfactor='50');

CREATE TABLE public.carrier_credential (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    sealed bytea NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.carrier_credential FORCE ROW LEVEL SECURITY;

CREATE TABLE public.carrier_drift (
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    what text NOT NULL COLLATE pg_catalog."C",
    seen bigint NOT NULL,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    accepted_at timestamp with time zone
);

CREATE TABLE public.carrier_hour (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    slot smallint NOT NULL,
    hour timestamp with time zone NOT NULL,
    found bigint NOT NULL,
    not_found bigint NOT NULL,
    refused bigint NOT NULL,
    broken bigint NOT NULL,
    events bigint NOT NULL,
    unmapped bigint NOT NULL,
    lags bigint[] NOT NULL
)
WITH (fillfactor='80');

ALTER TABLE ONLY public.carrier_hour FORCE ROW LEVEL SECURITY;

CREATE TABLE public.carrier_live (
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    live_since timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.carrier_pause (
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    paused_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.check_day (
    account_id bigint NOT NULL,
    day date NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    checks bigint NOT NULL
)
WITH (fillfactor='80');

ALTER TABLE ONLY public.check_day FORCE ROW LEVEL SECURITY;

CREATE TABLE public.connection (
    account_id bigint NOT NULL,
    connection_id bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    form text NOT NULL COLLATE pg_catalog."C",
    name text DEFAULT ''::text NOT NULL,
    url text DEFAULT ''::text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    sealed bytea,
    signing_key bytea,
    former_key bytea,
    former_key_until timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT connection_kind_check CHECK ((kind = ANY (ARRAY['webhook'::text, 'klaviyo'::text, 'integration'::text, 'email'::text])))
);

ALTER TABLE ONLY public.connection FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.connection_connection_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.connection_connection_id_seq OWNED BY public.connection.connection_id;

CREATE TABLE public.contract (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    contract_id bigint NOT NULL
);

ALTER TABLE ONLY public.contract FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.contract_contract_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.contract_contract_id_seq OWNED BY public.contract.contract_id;

CREATE TABLE public.delivery (
    account_id bigint NOT NULL,
    delivery_id bigint NOT NULL,
    connection_id bigint NOT NULL,
    message_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL COLLATE pg_catalog."C",
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    replayed_at timestamp with time zone,
    CONSTRAINT delivery_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
)
WITH (fillfactor='80');

ALTER TABLE ONLY public.delivery FORCE ROW LEVEL SECURITY;

CREATE TABLE public.delivery_attempt (
    account_id bigint NOT NULL,
    delivery_id bigint NOT NULL,
    attempt integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    connection_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    outcome text NOT NULL COLLATE pg_catalog."C",
    status integer,
    milliseconds integer NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    request_headers jsonb DEFAULT '{}'::jsonb NOT NULL,
    answer bytea DEFAULT '\x'::bytea NOT NULL
)
PARTITION BY RANGE (started_at);

ALTER TABLE ONLY public.delivery_attempt FORCE ROW LEVEL SECURITY;

CREATE TABLE public.delivery_attempt_rest (
    account_id bigint CONSTRAINT delivery_attempt_account_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT delivery_attempt_delivery_id_not_null NOT NULL,
    attempt integer CONSTRAINT delivery_attempt_attempt_not_null NOT NULL,
    started_at timestamp with time zone CONSTRAINT delivery_attempt_started_at_not_null NOT NULL,
    connection_id bigint CONSTRAINT delivery_attempt_connection_id_not_null NOT NULL,
    parcel_id bigint CONSTRAINT delivery_attempt_parcel_id_not_null NOT NULL,
    outcome text CONSTRAINT delivery_attempt_outcome_not_null NOT NULL COLLATE pg_catalog."C",
    status integer,
    milliseconds integer CONSTRAINT delivery_attempt_milliseconds_not_null NOT NULL,
    error text DEFAULT ''::text CONSTRAINT delivery_attempt_error_not_null NOT NULL,
    request_headers jsonb DEFAULT '{}'::jsonb CONSTRAINT delivery_attempt_request_headers_not_null NOT NULL,
    answer bytea DEFAULT '\x'::bytea CONSTRAINT delivery_attempt_answer_not_null NOT NULL
);

CREATE SEQUENCE public.delivery_delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.delivery_delivery_id_seq OWNED BY public.delivery.delivery_id;

CREATE TABLE public.delivery_lane (
    account_id bigint NOT NULL,
    connection_id bigint NOT NULL,
    turn_at timestamp with time zone DEFAULT 'infinity'::timestamp with time zone NOT NULL,
    state text DEFAULT 'open'::text NOT NULL COLLATE pg_catalog."C",
    reason text DEFAULT ''::text NOT NULL,
    lease_until timestamp with time zone,
    fence bigint DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    rests_until timestamp with time zone,
    failing_since timestamp with time zone,
    last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone,
    gives_up_to bigint,
    CONSTRAINT delivery_lane_state_check CHECK ((state = ANY (ARRAY['open'::text, 'paused'::text, 'disabled'::text])))
)
WITH (fillfactor='70');

ALTER TABLE ONLY public.delivery_lane FORCE ROW LEVEL SECURITY;

CREATE TABLE public.erasure (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    erased_at timestamp with time zone NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    counts jsonb NOT NULL
);

ALTER TABLE ONLY public.erasure FORCE ROW LEVEL SECURITY;

CREATE TABLE public.event (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    sequence integer NOT NULL,
    event_key text NOT NULL COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C",
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    raw_code text NOT NULL,
    mapping_version integer NOT NULL,
    fact jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    withdrawn_at timestamp with time zone
);

ALTER TABLE ONLY public.event FORCE ROW LEVEL SECURITY;

CREATE TABLE public.feed (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    told_until timestamp with time zone NOT NULL,
    asked_at timestamp with time zone,
    misses integer DEFAULT 0 NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    fence bigint DEFAULT 0 NOT NULL
);

ALTER TABLE ONLY public.feed FORCE ROW LEVEL SECURITY;

CREATE TABLE public.feed_event (
    account_id bigint NOT NULL,
    feed_seq bigint NOT NULL,
    parcel_id bigint NOT NULL,
    sequence integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    recorded_at timestamp with time zone NOT NULL,
    message_id bigint
);

ALTER TABLE ONLY public.feed_event FORCE ROW LEVEL SECURITY;

CREATE TABLE public.feed_head (
    account_id bigint NOT NULL,
    feed_seq bigint DEFAULT 0 NOT NULL,
    kept_from bigint DEFAULT 1 NOT NULL
)
WITH (fillfactor='70');

ALTER TABLE ONLY public.feed_head FORCE ROW LEVEL SECURITY;

CREATE TABLE public.host_route (
    host text NOT NULL COLLATE pg_catalog."C",
    base_url text NOT NULL
);

CREATE TABLE public.idempotency_key (
    account_id bigint NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    fingerprint bytea NOT NULL,
    status integer,
    headers jsonb,
    body bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    parcel_id bigint
);

ALTER TABLE ONLY public.idempotency_key FORCE ROW LEVEL SECURITY;

CREATE TABLE public.installation (
    only_row boolean DEFAULT true NOT NULL,
    key_fingerprint text DEFAULT ''::text NOT NULL,
    CONSTRAINT installation_only_row_check CHECK (only_row)
);

CREATE TABLE public.intake_turn (
    account_id bigint NOT NULL,
    queue text NOT NULL COLLATE pg_catalog."C",
    turn_at timestamp with time zone NOT NULL
)
WITH (fillfactor='70');

ALTER TABLE ONLY public.intake_turn FORCE ROW LEVEL SECURITY;

CREATE TABLE public.job (
    name text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    outcome jsonb
);

CREATE TABLE public.lane (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    turn_at timestamp with time zone NOT NULL,
    paused_until timestamp with time zone,
    state text DEFAULT 'open'::text NOT NULL COLLATE pg_catalog."C",
    deadline_at timestamp with time zone DEFAULT (now() + '06:00:00'::interval),
    learnt_at timestamp with time zone,
    served_at timestamp with time zone
)
WITH (fillfactor='70');

ALTER TABLE ONLY public.lane FORCE ROW LEVEL SECURITY;

CREATE TABLE public.lane_history (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    origin_country text NOT NULL COLLATE pg_catalog."C",
    destination_country text NOT NULL COLLATE pg_catalog."C",
    learnt_at timestamp with time zone NOT NULL,
    statistics jsonb NOT NULL
);

ALTER TABLE ONLY public.lane_history FORCE ROW LEVEL SECURITY;

CREATE TABLE public.mail_count (
    account_id bigint NOT NULL,
    address_hash bytea NOT NULL,
    counted_from timestamp with time zone NOT NULL,
    letters integer NOT NULL
)
WITH (fillfactor='70');

ALTER TABLE ONLY public.mail_count FORCE ROW LEVEL SECURITY;

CREATE TABLE public.mail_refusal (
    account_id bigint NOT NULL,
    address_hash bytea NOT NULL,
    refused_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.mail_refusal FORCE ROW LEVEL SECURITY;

CREATE TABLE public.message (
    account_id bigint NOT NULL,
    message_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    sequence integer DEFAULT 0 NOT NULL,
    event_id text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    form text NOT NULL COLLATE pg_catalog."C",
    body bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY public.message ALTER COLUMN body SET STORAGE EXTERNAL;

ALTER TABLE ONLY public.message FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.message_message_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.message_message_id_seq OWNED BY public.message.message_id;

CREATE TABLE public.operator_credential (
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    sealed bytea NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.outbox (
    account_id bigint NOT NULL,
    outbox_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    sequence integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    recorded_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.outbox FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.outbox_outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.outbox_outbox_id_seq OWNED BY public.outbox.outbox_id;

CREATE TABLE public.parcel (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    revision bigint DEFAULT 1 NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    tracking_number text NOT NULL,
    source_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    is_current boolean DEFAULT true NOT NULL,
    request jsonb NOT NULL,
    announced_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    phase text NOT NULL COLLATE pg_catalog."C",
    exception text NOT NULL COLLATE pg_catalog."C",
    status_type text NOT NULL COLLATE pg_catalog."C",
    sub_status text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    status_at timestamp with time zone NOT NULL,
    first_scan_at timestamp with time zone,
    last_scan_at timestamp with time zone,
    ended_at timestamp with time zone,
    stopped_at timestamp with time zone,
    stop_reason text DEFAULT ''::text NOT NULL,
    estimate jsonb,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL,
    event_count integer DEFAULT 0 NOT NULL,
    render_epoch bigint DEFAULT '-1'::integer NOT NULL,
    etag text DEFAULT ''::text NOT NULL,
    v3_answer bytea,
    v2_answer bytea
);

ALTER TABLE ONLY public.parcel FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.parcel_parcel_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.parcel_parcel_id_seq OWNED BY public.parcel.parcel_id;

CREATE TABLE public.parcel_search (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    words tsvector NOT NULL
);

ALTER TABLE ONLY public.parcel_search FORCE ROW LEVEL SECURITY;

CREATE TABLE public.parcel_timing (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    origin_country text NOT NULL COLLATE pg_catalog."C",
    destination_country text NOT NULL COLLATE pg_catalog."C",
    registered_at timestamp with time zone NOT NULL,
    announced_at timestamp with time zone NOT NULL,
    first_scan_at timestamp with time zone,
    in_delivery_at timestamp with time zone,
    delivered_at timestamp with time zone,
    ended_at timestamp with time zone
);

ALTER TABLE ONLY public.parcel_timing FORCE ROW LEVEL SECURITY;

CREATE TABLE public.push_payload (
    account_id bigint NOT NULL,
    push_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    headers jsonb NOT NULL,
    payload bytea NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL COLLATE pg_catalog."C",
    reason text DEFAULT ''::text NOT NULL,
    numbers text[] DEFAULT '{}'::text[] NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='80');

ALTER TABLE ONLY public.push_payload FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.push_payload_push_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.push_payload_push_id_seq OWNED BY public.push_payload.push_id;

CREATE TABLE public.push_secret (
    account_id bigint NOT NULL,
    push_secret_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    secret_hash bytea NOT NULL,
    hint text NOT NULL,
    label text DEFAULT ''::text NOT NULL,
    proof text NOT NULL COLLATE pg_catalog."C",
    sealed bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    last_pushed_at timestamp with time zone,
    form text DEFAULT 'carrier'::text NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE ONLY public.push_secret FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.push_secret_push_secret_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.push_secret_push_secret_id_seq OWNED BY public.push_secret.push_secret_id;

CREATE TABLE public.rate_window (
    account_id bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    newest_bucket bigint DEFAULT 0 NOT NULL,
    spent integer[] DEFAULT '{}'::integer[] NOT NULL,
    newest_burst_bucket bigint DEFAULT 0 NOT NULL,
    burst_spent integer[] DEFAULT '{}'::integer[] NOT NULL,
    newest_promise_second bigint DEFAULT 0 NOT NULL,
    promised integer[] DEFAULT '{}'::integer[] NOT NULL
)
WITH (fillfactor='50');

ALTER TABLE ONLY public.rate_window FORCE ROW LEVEL SECURITY;

CREATE TABLE public.raw_payload (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    content_type text NOT NULL,
    payload bytea NOT NULL
)
PARTITION BY RANGE (fetched_at);
ALTER TABLE ONLY public.raw_payload ALTER COLUMN payload SET STORAGE EXTERNAL;

ALTER TABLE ONLY public.raw_payload FORCE ROW LEVEL SECURITY;

CREATE TABLE public.raw_payload_rest (
    account_id bigint CONSTRAINT raw_payload_account_id_not_null NOT NULL,
    parcel_id bigint CONSTRAINT raw_payload_parcel_id_not_null NOT NULL,
    fetched_at timestamp with time zone CONSTRAINT raw_payload_fetched_at_not_null NOT NULL,
    carrier_code text CONSTRAINT raw_payload_carrier_code_not_null NOT NULL COLLATE pg_catalog."C",
    content_type text CONSTRAINT raw_payload_content_type_not_null NOT NULL,
    payload bytea CONSTRAINT raw_payload_payload_not_null NOT NULL
);
ALTER TABLE ONLY public.raw_payload_rest ALTER COLUMN payload SET STORAGE EXTERNAL;

CREATE TABLE public.subscription (
    account_id bigint NOT NULL,
    subscription_id bigint NOT NULL,
    connection_id bigint NOT NULL,
    event_type text NOT NULL COLLATE pg_catalog."C",
    is_active boolean DEFAULT true NOT NULL,
    filters jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.subscription FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE public.subscription_subscription_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.subscription_subscription_id_seq OWNED BY public.subscription.subscription_id;

CREATE TABLE public.told_status (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='90');

ALTER TABLE ONLY public.told_status FORCE ROW LEVEL SECURITY;

CREATE TABLE public.tracked_number (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    number_key text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    is_current boolean DEFAULT true NOT NULL,
    CONSTRAINT tracked_number_kind_check CHECK ((kind = ANY (ARRAY['number'::text, 'identifier'::text])))
);

ALTER TABLE ONLY public.tracked_number FORCE ROW LEVEL SECURITY;

CREATE TABLE public.unmapped_code (
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    raw_code text NOT NULL COLLATE pg_catalog."C",
    seen bigint NOT NULL,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    accepted_at timestamp with time zone
);

CREATE TABLE public.usage_day (
    account_id bigint NOT NULL,
    day date NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    shipping_option text NOT NULL COLLATE pg_catalog."C",
    parcels bigint NOT NULL,
    last_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.usage_day FORCE ROW LEVEL SECURITY;

CREATE TABLE public.usage_mark (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL
);

ALTER TABLE ONLY public.usage_mark FORCE ROW LEVEL SECURITY;

CREATE TABLE public.watch (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE pg_catalog."C",
    parcel_id bigint NOT NULL,
    urgency smallint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    next_deadline_at timestamp with time zone DEFAULT (now() + '1 day'::interval),
    lease_until timestamp with time zone,
    fence bigint DEFAULT 0 NOT NULL,
    misses integer DEFAULT 0 NOT NULL,
    answer_hash bytea,
    last_checked_at timestamp with time zone
)
WITH (fillfactor='80');

ALTER TABLE ONLY public.watch FORCE ROW LEVEL SECURITY;

ALTER TABLE ONLY public.delivery_attempt ATTACH PARTITION public.delivery_attempt_rest DEFAULT;

ALTER TABLE ONLY public.raw_payload ATTACH PARTITION public.raw_payload_rest DEFAULT;

ALTER TABLE ONLY public.account ALTER COLUMN account_id SET DEFAULT nextval('public.account_account_id_seq'::regclass);

ALTER TABLE ONLY public.api_key ALTER COLUMN key_id SET DEFAULT nextval('public.api_key_key_id_seq'::regclass);

ALTER TABLE ONLY public.audit ALTER COLUMN audit_id SET DEFAULT nextval('public.audit_audit_id_seq'::regclass);

ALTER TABLE ONLY public.connection ALTER COLUMN connection_id SET DEFAULT nextval('public.connection_connection_id_seq'::regclass);

ALTER TABLE ONLY public.contract ALTER COLUMN contract_id SET DEFAULT nextval('public.contract_contract_id_seq'::regclass);

ALTER TABLE ONLY public.delivery ALTER COLUMN delivery_id SET DEFAULT nextval('public.delivery_delivery_id_seq'::regclass);

ALTER TABLE ONLY public.message ALTER COLUMN message_id SET DEFAULT nextval('public.message_message_id_seq'::regclass);

ALTER TABLE ONLY public.outbox ALTER COLUMN outbox_id SET DEFAULT nextval('public.outbox_outbox_id_seq'::regclass);

ALTER TABLE ONLY public.parcel ALTER COLUMN parcel_id SET DEFAULT nextval('public.parcel_parcel_id_seq'::regclass);

ALTER TABLE ONLY public.push_payload ALTER COLUMN push_id SET DEFAULT nextval('public.push_payload_push_id_seq'::regclass);

ALTER TABLE ONLY public.push_secret ALTER COLUMN push_secret_id SET DEFAULT nextval('public.push_secret_push_secret_id_seq'::regclass);

ALTER TABLE ONLY public.subscription ALTER COLUMN subscription_id SET DEFAULT nextval('public.subscription_subscription_id_seq'::regclass);

ALTER TABLE ONLY public.access_token
    ADD CONSTRAINT access_token_pkey PRIMARY KEY (account_id, token_hash);

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_account_id_public_key_key UNIQUE (account_id, public_key);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (account_id, key_id);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (account_id, audit_id);

ALTER TABLE ONLY public.carrier_budget
    ADD CONSTRAINT carrier_budget_pkey PRIMARY KEY (carrier_code, owner);

ALTER TABLE ONLY public.carrier_credential
    ADD CONSTRAINT carrier_credential_pkey PRIMARY KEY (account_id, carrier_code);

ALTER TABLE ONLY public.carrier_drift
    ADD CONSTRAINT carrier_drift_pkey PRIMARY KEY (carrier_code, kind, what);

ALTER TABLE ONLY public.carrier_hour
    ADD CONSTRAINT carrier_hour_pkey PRIMARY KEY (account_id, carrier_code, slot);

ALTER TABLE ONLY public.carrier_live
    ADD CONSTRAINT carrier_live_pkey PRIMARY KEY (carrier_code);

ALTER TABLE ONLY public.carrier_pause
    ADD CONSTRAINT carrier_pause_pkey PRIMARY KEY (carrier_code);

ALTER TABLE ONLY public.check_day
    ADD CONSTRAINT check_day_pkey PRIMARY KEY (account_id, day, carrier_code);

ALTER TABLE ONLY public.connection
    ADD CONSTRAINT connection_pkey PRIMARY KEY (account_id, connection_id);

ALTER TABLE ONLY public.contract
    ADD CONSTRAINT contract_pkey PRIMARY KEY (account_id, carrier_code);

ALTER TABLE ONLY public.delivery_attempt
    ADD CONSTRAINT delivery_attempt_pkey PRIMARY KEY (account_id, delivery_id, attempt, started_at);

ALTER TABLE ONLY public.delivery_attempt_rest
    ADD CONSTRAINT delivery_attempt_rest_pkey PRIMARY KEY (account_id, delivery_id, attempt, started_at);

ALTER TABLE ONLY public.delivery_lane
    ADD CONSTRAINT delivery_lane_pkey PRIMARY KEY (account_id, connection_id);

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (account_id, delivery_id);

ALTER TABLE ONLY public.erasure
    ADD CONSTRAINT erasure_pkey PRIMARY KEY (account_id, parcel_id);

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_account_id_parcel_id_event_key_key UNIQUE (account_id, parcel_id, event_key);

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (account_id, parcel_id, sequence);

ALTER TABLE ONLY public.feed_event
    ADD CONSTRAINT feed_event_pkey PRIMARY KEY (account_id, feed_seq);

ALTER TABLE ONLY public.feed_head
    ADD CONSTRAINT feed_head_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.feed
    ADD CONSTRAINT feed_pkey PRIMARY KEY (account_id, carrier_code);

ALTER TABLE ONLY public.host_route
    ADD CONSTRAINT host_route_pkey PRIMARY KEY (host);

ALTER TABLE ONLY public.idempotency_key
    ADD CONSTRAINT idempotency_key_pkey PRIMARY KEY (account_id, key);

ALTER TABLE ONLY public.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.intake_turn
    ADD CONSTRAINT intake_turn_pkey PRIMARY KEY (account_id, queue);

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.lane_history
    ADD CONSTRAINT lane_history_pkey PRIMARY KEY (account_id, carrier_code, origin_country, destination_country);

ALTER TABLE ONLY public.lane
    ADD CONSTRAINT lane_pkey PRIMARY KEY (account_id, carrier_code);

ALTER TABLE ONLY public.mail_count
    ADD CONSTRAINT mail_count_pkey PRIMARY KEY (account_id, address_hash, counted_from);

ALTER TABLE ONLY public.mail_refusal
    ADD CONSTRAINT mail_refusal_pkey PRIMARY KEY (account_id, address_hash);

ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_pkey PRIMARY KEY (account_id, message_id);

ALTER TABLE ONLY public.operator_credential
    ADD CONSTRAINT operator_credential_pkey PRIMARY KEY (carrier_code);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (account_id, outbox_id);

ALTER TABLE ONLY public.parcel
    ADD CONSTRAINT parcel_pkey PRIMARY KEY (account_id, parcel_id);

ALTER TABLE ONLY public.parcel_search
    ADD CONSTRAINT parcel_search_pkey PRIMARY KEY (account_id, parcel_id);

ALTER TABLE ONLY public.parcel_timing
    ADD CONSTRAINT parcel_timing_pkey PRIMARY KEY (account_id, parcel_id);

ALTER TABLE ONLY public.push_payload
    ADD CONSTRAINT push_payload_pkey PRIMARY KEY (account_id, push_id);

ALTER TABLE ONLY public.push_secret
    ADD CONSTRAINT push_secret_account_id_secret_hash_key UNIQUE (account_id, secret_hash);

ALTER TABLE ONLY public.push_secret
    ADD CONSTRAINT push_secret_pkey PRIMARY KEY (account_id, push_secret_id);

ALTER TABLE ONLY public.rate_window
    ADD CONSTRAINT rate_window_pkey PRIMARY KEY (account_id, kind);

ALTER TABLE ONLY public.raw_payload
    ADD CONSTRAINT raw_payload_pkey PRIMARY KEY (account_id, parcel_id, fetched_at);

ALTER TABLE ONLY public.raw_payload_rest
    ADD CONSTRAINT raw_payload_rest_pkey PRIMARY KEY (account_id, parcel_id, fetched_at);

ALTER TABLE ONLY public.subscription
    ADD CONSTRAINT subscription_pkey PRIMARY KEY (account_id, subscription_id);

ALTER TABLE ONLY public.told_status
    ADD CONSTRAINT told_status_pkey PRIMARY KEY (account_id, parcel_id);

ALTER TABLE ONLY public.tracked_number
    ADD CONSTRAINT tracked_number_pkey PRIMARY KEY (account_id, parcel_id, kind, number_key);

ALTER TABLE ONLY public.unmapped_code
    ADD CONSTRAINT unmapped_code_pkey PRIMARY KEY (carrier_code, raw_code);

ALTER TABLE ONLY public.usage_day
    ADD CONSTRAINT usage_day_pkey PRIMARY KEY (account_id, day, carrier_code, shipping_option);

ALTER TABLE ONLY public.usage_mark
    ADD CONSTRAINT usage_mark_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.watch
    ADD CONSTRAINT watch_pkey PRIMARY KEY (account_id, parcel_id);

CREATE INDEX access_token_expiry ON public.access_token USING btree (account_id, expires_at);

CREATE INDEX account_suspended ON public.account USING btree (account_id) WHERE (status = 'suspended'::text);

CREATE INDEX audit_parcel ON public.audit USING btree (account_id, parcel_id, audit_id);

CREATE UNIQUE INDEX connection_email ON public.connection USING btree (account_id) WHERE (kind = 'email'::text);

CREATE INDEX delivery_attempt_connection ON ONLY public.delivery_attempt USING btree (account_id, connection_id, started_at DESC);

CREATE INDEX delivery_attempt_failed ON ONLY public.delivery_attempt USING btree (account_id, connection_id, started_at DESC) WHERE (outcome <> 'delivered'::text);

CREATE INDEX delivery_attempt_parcel ON ONLY public.delivery_attempt USING btree (account_id, parcel_id);

CREATE INDEX delivery_attempt_rest_account_id_connection_id_started_at_idx ON public.delivery_attempt_rest USING btree (account_id, connection_id, started_at DESC);

CREATE INDEX delivery_attempt_rest_account_id_connection_id_started_at_idx1 ON public.delivery_attempt_rest USING btree (account_id, connection_id, started_at DESC) WHERE (outcome <> 'delivered'::text);

CREATE INDEX delivery_attempt_rest_account_id_parcel_id_idx ON public.delivery_attempt_rest USING btree (account_id, parcel_id);

CREATE INDEX delivery_due ON public.delivery USING btree (account_id, connection_id, due_at, delivery_id) WHERE (state = 'pending'::text);

CREATE INDEX delivery_failed ON public.delivery USING btree (account_id, connection_id, delivery_id) WHERE (state = 'failed'::text);

CREATE INDEX delivery_lane_giving_up ON public.delivery_lane USING btree (account_id, connection_id) WHERE (gives_up_to IS NOT NULL);

CREATE INDEX delivery_lane_shut ON public.delivery_lane USING btree (account_id, connection_id) WHERE (state <> 'open'::text);

CREATE INDEX delivery_lane_turn ON public.delivery_lane USING btree (turn_at) WHERE (state = 'open'::text);

CREATE INDEX delivery_message ON public.delivery USING btree (account_id, message_id);

CREATE INDEX delivery_of_connection ON public.delivery USING btree (account_id, connection_id, delivery_id DESC);

CREATE INDEX delivery_order ON public.delivery USING btree (account_id, connection_id, parcel_id, delivery_id) WHERE (state = 'pending'::text);

CREATE INDEX event_unmapped ON public.event USING btree (account_id, carrier_code, raw_code, recorded_at) WHERE ((fact #>> '{told,reading,0}'::text[]) = 'unknown'::text);

CREATE INDEX feed_event_message ON public.feed_event USING btree (account_id, message_id);

CREATE INDEX feed_event_parcel ON public.feed_event USING btree (account_id, parcel_id);

CREATE INDEX idempotency_key_age ON public.idempotency_key USING btree (account_id, created_at);

CREATE INDEX idempotency_key_parcel ON public.idempotency_key USING btree (account_id, parcel_id);

CREATE INDEX intake_turn_at ON public.intake_turn USING btree (turn_at);

CREATE INDEX lane_deadline ON public.lane USING btree (deadline_at);

CREATE INDEX lane_turn ON public.lane USING btree (turn_at);

CREATE INDEX mail_count_from ON public.mail_count USING btree (account_id, counted_from);

CREATE INDEX message_created ON public.message USING btree (account_id, created_at);

CREATE INDEX message_parcel ON public.message USING btree (account_id, parcel_id);

CREATE INDEX parcel_active ON public.parcel USING btree (account_id, created_at, parcel_id) WHERE (ended_at IS NULL);

CREATE INDEX parcel_announced ON public.parcel USING btree (account_id, announced_at);

CREATE INDEX parcel_created ON public.parcel USING btree (account_id, created_at, parcel_id);

CREATE UNIQUE INDEX parcel_current_source ON public.parcel USING btree (account_id, source_id) WHERE (is_current AND (source_id <> ''::text));

CREATE INDEX parcel_ended ON public.parcel USING btree (account_id, ended_at, parcel_id) WHERE (ended_at IS NOT NULL);

CREATE INDEX parcel_exception ON public.parcel USING btree (account_id, exception, created_at, parcel_id) WHERE (exception <> 'none'::text);

CREATE INDEX parcel_search_words ON public.parcel_search USING gin (words);

CREATE INDEX parcel_status ON public.parcel USING btree (account_id, status, created_at, parcel_id);

CREATE INDEX parcel_timing_ended ON public.parcel_timing USING btree (account_id, carrier_code, ended_at DESC) WHERE (ended_at IS NOT NULL);

CREATE INDEX parcel_updated ON public.parcel USING btree (account_id, updated_at, parcel_id);

CREATE INDEX push_payload_due ON public.push_payload USING btree (account_id, due_at);

CREATE INDEX subscription_connection ON public.subscription USING btree (account_id, connection_id);

CREATE UNIQUE INDEX tracked_number_current ON public.tracked_number USING btree (account_id, carrier_code, number_key) WHERE (is_current AND (kind = 'number'::text));

CREATE INDEX tracked_number_lookup ON public.tracked_number USING btree (account_id, number_key, parcel_id DESC);

CREATE INDEX watch_deadline ON public.watch USING btree (account_id, carrier_code, next_deadline_at) WHERE (next_deadline_at < 'infinity'::timestamp with time zone);

CREATE INDEX watch_due ON public.watch USING btree (account_id, carrier_code, urgency, due_at);

ALTER INDEX public.delivery_attempt_connection ATTACH PARTITION public.delivery_attempt_rest_account_id_connection_id_started_at_idx;

ALTER INDEX public.delivery_attempt_failed ATTACH PARTITION public.delivery_attempt_rest_account_id_connection_id_started_at_idx1;

ALTER INDEX public.delivery_attempt_parcel ATTACH PARTITION public.delivery_attempt_rest_account_id_parcel_id_idx;

ALTER INDEX public.delivery_attempt_pkey ATTACH PARTITION public.delivery_attempt_rest_pkey;

ALTER INDEX public.raw_payload_pkey ATTACH PARTITION public.raw_payload_rest_pkey;

ALTER TABLE ONLY public.access_token
    ADD CONSTRAINT access_token_account_id_key_id_fkey FOREIGN KEY (account_id, key_id) REFERENCES public.api_key(account_id, key_id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(account_id);

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_account_id_connection_id_fkey FOREIGN KEY (account_id, connection_id) REFERENCES public.connection(account_id, connection_id);

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_account_id_message_id_fkey FOREIGN KEY (account_id, message_id) REFERENCES public.message(account_id, message_id);

ALTER TABLE ONLY public.delivery_lane
    ADD CONSTRAINT delivery_lane_account_id_connection_id_fkey FOREIGN KEY (account_id, connection_id) REFERENCES public.connection(account_id, connection_id);

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_account_id_parcel_id_fkey FOREIGN KEY (account_id, parcel_id) REFERENCES public.parcel(account_id, parcel_id);

ALTER TABLE ONLY public.parcel_search
    ADD CONSTRAINT parcel_search_account_id_parcel_id_fkey FOREIGN KEY (account_id, parcel_id) REFERENCES public.parcel(account_id, parcel_id);

ALTER TABLE ONLY public.subscription
    ADD CONSTRAINT subscription_account_id_connection_id_fkey FOREIGN KEY (account_id, connection_id) REFERENCES public.connection(account_id, connection_id);

ALTER TABLE ONLY public.tracked_number
    ADD CONSTRAINT tracked_number_account_id_parcel_id_fkey FOREIGN KEY (account_id, parcel_id) REFERENCES public.parcel(account_id, parcel_id);

ALTER TABLE ONLY public.watch
    ADD CONSTRAINT watch_account_id_parcel_id_fkey FOREIGN KEY (account_id, parcel_id) REFERENCES public.parcel(account_id, parcel_id);

ALTER TABLE public.access_token ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.account ENABLE ROW LEVEL SECURITY;

CREATE POLICY admin_account ON public.account TO milepost_admin USING (true);

CREATE POLICY admin_api_key ON public.api_key TO milepost_admin USING (true);

CREATE POLICY admin_carrier_hour ON public.carrier_hour FOR SELECT TO milepost_admin USING (true);

CREATE POLICY admin_delivery_lane ON public.delivery_lane TO milepost_admin USING (true);

CREATE POLICY admin_intake_turn ON public.intake_turn TO milepost_admin USING (true);

CREATE POLICY admin_lane ON public.lane TO milepost_admin USING (true);

CREATE POLICY admin_outbox ON public.outbox FOR SELECT TO milepost_admin USING (true);

CREATE POLICY admin_parcel_search ON public.parcel_search FOR SELECT TO milepost_admin USING (true);

ALTER TABLE public.api_key ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.carrier_credential ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.carrier_hour ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.check_day ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.connection ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.contract ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.delivery ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.delivery_attempt ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.delivery_lane ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.erasure ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.event ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.feed ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.feed_event ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.feed_head ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.idempotency_key ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.intake_turn ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.lane ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.lane_history ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.mail_count ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.mail_refusal ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.message ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.outbox ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_account ON public.access_token USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.account USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.api_key USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.audit USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.carrier_credential USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.carrier_hour USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.check_day USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.connection USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.contract USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.delivery USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.delivery_attempt USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.delivery_lane USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.erasure USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.event USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.feed USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.feed_event USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.feed_head USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.idempotency_key USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.intake_turn USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.lane USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.lane_history USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.mail_count USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.mail_refusal USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.message USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.outbox USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.parcel USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.parcel_search USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.parcel_timing USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.push_payload USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.push_secret USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.rate_window USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.raw_payload USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.subscription USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.told_status USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.tracked_number USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.usage_day USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.usage_mark USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

CREATE POLICY own_account ON public.watch USING ((account_id = (NULLIF(current_setting('milepost.account_id'::text, true), ''::text))::bigint));

ALTER TABLE public.parcel ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.parcel_search ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.parcel_timing ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.push_payload ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.push_secret ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.rate_window ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.raw_payload ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.subscription ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.told_status ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tracked_number ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_day ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_mark ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.watch ENABLE ROW LEVEL SECURITY;

CREATE POLICY worker_delivery_lane ON public.delivery_lane TO milepost_worker USING (true);

CREATE POLICY worker_feed_head ON public.feed_head FOR SELECT TO milepost_worker USING (true);

CREATE POLICY worker_forgets_old_audit ON public.audit AS RESTRICTIVE FOR DELETE TO milepost_worker USING ((at < (now() - '30 days'::interval)));

CREATE POLICY worker_intake_turn ON public.intake_turn TO milepost_worker USING (true);

CREATE POLICY worker_lane ON public.lane TO milepost_worker USING (true);

CREATE POLICY worker_outbox ON public.outbox FOR SELECT TO milepost_worker USING (true);

CREATE POLICY worker_suspended ON public.account FOR SELECT TO milepost_worker USING ((status = 'suspended'::text));

REVOKE ALL ON FUNCTION public.account_credential(p_account_id bigint, p_carrier_code text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.account_credential(p_account_id bigint, p_carrier_code text) TO milepost_app;
GRANT ALL ON FUNCTION public.account_credential(p_account_id bigint, p_carrier_code text) TO milepost_worker;
GRANT ALL ON FUNCTION public.account_credential(p_account_id bigint, p_carrier_code text) TO milepost_admin;

REVOKE ALL ON FUNCTION public.admit_letter(p_account bigint, p_hashes bytea[], p_counted boolean, p_daily integer, p_hourly integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.admit_letter(p_account bigint, p_hashes bytea[], p_counted boolean, p_daily integer, p_hourly integer) TO milepost_worker;
GRANT ALL ON FUNCTION public.admit_letter(p_account bigint, p_hashes bytea[], p_counted boolean, p_daily integer, p_hourly integer) TO milepost_admin;

REVOKE ALL ON FUNCTION public.authenticate_key(p_account_id bigint, p_public_key text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.authenticate_key(p_account_id bigint, p_public_key text) TO milepost_app;
GRANT ALL ON FUNCTION public.authenticate_key(p_account_id bigint, p_public_key text) TO milepost_worker;
GRANT ALL ON FUNCTION public.authenticate_key(p_account_id bigint, p_public_key text) TO milepost_admin;

REVOKE ALL ON FUNCTION public.authenticate_token(p_account_id bigint, p_token_hashes bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.authenticate_token(p_account_id bigint, p_token_hashes bytea[]) TO milepost_app;
GRANT ALL ON FUNCTION public.authenticate_token(p_account_id bigint, p_token_hashes bytea[]) TO milepost_worker;
GRANT ALL ON FUNCTION public.authenticate_token(p_account_id bigint, p_token_hashes bytea[]) TO milepost_admin;

REVOKE ALL ON FUNCTION public.begin_idempotent(p_account_id bigint, p_key text, p_fingerprint bytea, p_keep_hours integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_idempotent(p_account_id bigint, p_key text, p_fingerprint bytea, p_keep_hours integer) TO milepost_app;
GRANT ALL ON FUNCTION public.begin_idempotent(p_account_id bigint, p_key text, p_fingerprint bytea, p_keep_hours integer) TO milepost_worker;
GRANT ALL ON FUNCTION public.begin_idempotent(p_account_id bigint, p_key text, p_fingerprint bytea, p_keep_hours integer) TO milepost_admin;

REVOKE ALL ON FUNCTION public.caller_of_key(p_account_id bigint, p_public_key text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.caller_of_key(p_account_id bigint, p_public_key text) TO milepost_app;
GRANT ALL ON FUNCTION public.caller_of_key(p_account_id bigint, p_public_key text) TO milepost_worker;
GRANT ALL ON FUNCTION public.caller_of_key(p_account_id bigint, p_public_key text) TO milepost_admin;

REVOKE ALL ON FUNCTION public.caller_of_token(p_account_id bigint, p_token_hashes bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.caller_of_token(p_account_id bigint, p_token_hashes bytea[]) TO milepost_app;
GRANT ALL ON FUNCTION public.caller_of_token(p_account_id bigint, p_token_hashes bytea[]) TO milepost_worker;
GRANT ALL ON FUNCTION public.caller_of_token(p_account_id bigint, p_token_hashes bytea[]) TO milepost_admin;

REVOKE ALL ON FUNCTION public.deliveries_since(p_account bigint, p_connection bigint, p_since timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.deliveries_since(p_account bigint, p_connection bigint, p_since timestamp with time zone) TO milepost_app;
GRANT ALL ON FUNCTION public.deliveries_since(p_account bigint, p_connection bigint, p_since timestamp with time zone) TO milepost_worker;
GRANT ALL ON FUNCTION public.deliveries_since(p_account bigint, p_connection bigint, p_since timestamp with time zone) TO milepost_admin;

REVOKE ALL ON FUNCTION public.delivery_ages(p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.delivery_ages(p_most integer) TO milepost_admin;

REVOKE ALL ON FUNCTION public.drop_delivery_attempt_months(p_before timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.drop_delivery_attempt_months(p_before timestamp with time zone) TO milepost_worker;
GRANT ALL ON FUNCTION public.drop_delivery_attempt_months(p_before timestamp with time zone) TO milepost_admin;

REVOKE ALL ON FUNCTION public.drop_raw_payload_months(p_before timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.drop_raw_payload_months(p_before timestamp with time zone) TO milepost_worker;
GRANT ALL ON FUNCTION public.drop_raw_payload_months(p_before timestamp with time zone) TO milepost_admin;

REVOKE ALL ON FUNCTION public.feed_heads(p_accounts bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.feed_heads(p_accounts bigint[]) TO milepost_app;
GRANT ALL ON FUNCTION public.feed_heads(p_accounts bigint[]) TO milepost_admin;

REVOKE ALL ON FUNCTION public.intake_ages(p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.intake_ages(p_most integer) TO milepost_admin;

REVOKE ALL ON FUNCTION public.issue_token(p_account_id bigint, p_key_id bigint, p_token_hash bytea, p_scope text, p_seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.issue_token(p_account_id bigint, p_key_id bigint, p_token_hash bytea, p_scope text, p_seconds integer) TO milepost_app;
GRANT ALL ON FUNCTION public.issue_token(p_account_id bigint, p_key_id bigint, p_token_hash bytea, p_scope text, p_seconds integer) TO milepost_worker;
GRANT ALL ON FUNCTION public.issue_token(p_account_id bigint, p_key_id bigint, p_token_hash bytea, p_scope text, p_seconds integer) TO milepost_admin;

REVOKE ALL ON FUNCTION public.lane_ages(p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.lane_ages(p_most integer) TO milepost_admin;

REVOKE ALL ON FUNCTION public.make_delivery_attempt_months(p_first date, p_months integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.make_delivery_attempt_months(p_first date, p_months integer) TO milepost_worker;
GRANT ALL ON FUNCTION public.make_delivery_attempt_months(p_first date, p_months integer) TO milepost_admin;

REVOKE ALL ON FUNCTION public.make_raw_payload_months(p_first date, p_months integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.make_raw_payload_months(p_first date, p_months integer) TO milepost_worker;
GRANT ALL ON FUNCTION public.make_raw_payload_months(p_first date, p_months integer) TO milepost_admin;

REVOKE ALL ON FUNCTION public.outbox_accounts(p_after bigint, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.outbox_accounts(p_after bigint, p_most integer) TO milepost_worker;
GRANT ALL ON FUNCTION public.outbox_accounts(p_after bigint, p_most integer) TO milepost_admin;

REVOKE ALL ON FUNCTION public.outbox_age(p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.outbox_age(p_most integer) TO milepost_admin;

REVOKE ALL ON FUNCTION public.refuse_letters(p_account bigint, p_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.refuse_letters(p_account bigint, p_hash bytea) TO milepost_app;
GRANT ALL ON FUNCTION public.refuse_letters(p_account bigint, p_hash bytea) TO milepost_admin;

REVOKE ALL ON FUNCTION public.replay_deliveries(p_account bigint, p_connection bigint, p_deliveries bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.replay_deliveries(p_account bigint, p_connection bigint, p_deliveries bigint[]) TO milepost_app;
GRANT ALL ON FUNCTION public.replay_deliveries(p_account bigint, p_connection bigint, p_deliveries bigint[]) TO milepost_worker;
GRANT ALL ON FUNCTION public.replay_deliveries(p_account bigint, p_connection bigint, p_deliveries bigint[]) TO milepost_admin;

REVOKE ALL ON FUNCTION public.search_parcels(p_account bigint, p_words tsquery, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.search_parcels(p_account bigint, p_words tsquery, p_most integer) TO milepost_app;
GRANT ALL ON FUNCTION public.search_parcels(p_account bigint, p_words tsquery, p_most integer) TO milepost_worker;

REVOKE ALL ON FUNCTION public.spend_budget(p_account_id bigint, p_kind text, p_wanted integer, p_spare integer, p_returned integer, p_returned_bucket bigint, p_limit integer, p_buckets integer, p_bucket_ms integer, p_lease_buckets integer, p_burst_limit integer, p_burst_buckets integer, p_burst_bucket_ms integer, OUT granted integer, OUT spare integer, OUT lease_bucket bigint, OUT remaining integer, OUT reset_ms integer, OUT retry_after integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.spend_budget(p_account_id bigint, p_kind text, p_wanted integer, p_spare integer, p_returned integer, p_returned_bucket bigint, p_limit integer, p_buckets integer, p_bucket_ms integer, p_lease_buckets integer, p_burst_limit integer, p_burst_buckets integer, p_burst_bucket_ms integer, OUT granted integer, OUT spare integer, OUT lease_bucket bigint, OUT remaining integer, OUT reset_ms integer, OUT retry_after integer[]) TO milepost_app;
GRANT ALL ON FUNCTION public.spend_budget(p_account_id bigint, p_kind text, p_wanted integer, p_spare integer, p_returned integer, p_returned_bucket bigint, p_limit integer, p_buckets integer, p_bucket_ms integer, p_lease_buckets integer, p_burst_limit integer, p_burst_buckets integer, p_burst_bucket_ms integer, OUT granted integer, OUT spare integer, OUT lease_bucket bigint, OUT remaining integer, OUT reset_ms integer, OUT retry_after integer[]) TO milepost_worker;
GRANT ALL ON FUNCTION public.spend_budget(p_account_id bigint, p_kind text, p_wanted integer, p_spare integer, p_returned integer, p_returned_bucket bigint, p_limit integer, p_buckets integer, p_bucket_ms integer, p_lease_buckets integer, p_burst_limit integer, p_burst_buckets integer, p_burst_bucket_ms integer, OUT granted integer, OUT spare integer, OUT lease_bucket bigint, OUT remaining integer, OUT reset_ms integer, OUT retry_after integer[]) TO milepost_admin;

REVOKE ALL ON FUNCTION public.tell_connection(p_account bigint, p_connection bigint, p_event text, p_action text, p_form text, p_body bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.tell_connection(p_account bigint, p_connection bigint, p_event text, p_action text, p_form text, p_body bytea) TO milepost_app;
GRANT ALL ON FUNCTION public.tell_connection(p_account bigint, p_connection bigint, p_event text, p_action text, p_form text, p_body bytea) TO milepost_worker;
GRANT ALL ON FUNCTION public.tell_connection(p_account bigint, p_connection bigint, p_event text, p_action text, p_form text, p_body bytea) TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.access_token TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.access_token TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.access_token TO milepost_admin;

GRANT SELECT,UPDATE ON TABLE public.account TO milepost_app;
GRANT SELECT,UPDATE ON TABLE public.account TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.account TO milepost_admin;

GRANT USAGE ON SEQUENCE public.account_account_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.account_account_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.account_account_id_seq TO milepost_admin;

GRANT SELECT,UPDATE ON TABLE public.api_key TO milepost_app;
GRANT SELECT,UPDATE ON TABLE public.api_key TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.api_key TO milepost_admin;

GRANT USAGE ON SEQUENCE public.api_key_key_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.api_key_key_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.api_key_key_id_seq TO milepost_admin;

GRANT SELECT,INSERT ON TABLE public.audit TO milepost_app;
GRANT SELECT,INSERT,DELETE ON TABLE public.audit TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.audit TO milepost_admin;

GRANT USAGE ON SEQUENCE public.audit_audit_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.audit_audit_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.audit_audit_id_seq TO milepost_admin;

GRANT SELECT,INSERT,UPDATE ON TABLE public.carrier_budget TO milepost_app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.carrier_budget TO milepost_worker;
GRANT SELECT,INSERT,UPDATE ON TABLE public.carrier_budget TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.carrier_credential TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.carrier_credential TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.carrier_credential TO milepost_admin;

GRANT SELECT ON TABLE public.carrier_drift TO milepost_app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.carrier_drift TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.carrier_drift TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.carrier_hour TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.carrier_hour TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.carrier_hour TO milepost_admin;

GRANT SELECT ON TABLE public.carrier_live TO milepost_app;
GRANT SELECT,INSERT ON TABLE public.carrier_live TO milepost_worker;
GRANT SELECT ON TABLE public.carrier_live TO milepost_admin;

GRANT SELECT ON TABLE public.carrier_pause TO milepost_app;
GRANT SELECT ON TABLE public.carrier_pause TO milepost_worker;
GRANT SELECT,INSERT,DELETE ON TABLE public.carrier_pause TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.check_day TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.check_day TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.check_day TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.connection TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.connection TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.connection TO milepost_admin;

GRANT USAGE ON SEQUENCE public.connection_connection_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.connection_connection_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.connection_connection_id_seq TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.contract TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.contract TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.contract TO milepost_admin;

GRANT USAGE ON SEQUENCE public.contract_contract_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.contract_contract_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.contract_contract_id_seq TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery_attempt TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery_attempt TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery_attempt TO milepost_admin;

GRANT USAGE ON SEQUENCE public.delivery_delivery_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.delivery_delivery_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.delivery_delivery_id_seq TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery_lane TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery_lane TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery_lane TO milepost_admin;

GRANT SELECT,INSERT ON TABLE public.erasure TO milepost_app;
GRANT SELECT,INSERT ON TABLE public.erasure TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.erasure TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.event TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.event TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.event TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feed TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feed TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feed TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feed_event TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feed_event TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feed_event TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feed_head TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feed_head TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feed_head TO milepost_admin;

GRANT SELECT ON TABLE public.host_route TO milepost_app;
GRANT SELECT ON TABLE public.host_route TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.host_route TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_key TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_key TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_key TO milepost_admin;

GRANT SELECT,UPDATE ON TABLE public.installation TO milepost_app;
GRANT SELECT ON TABLE public.installation TO milepost_worker;
GRANT SELECT,UPDATE ON TABLE public.installation TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.intake_turn TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.intake_turn TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.intake_turn TO milepost_admin;

GRANT SELECT,INSERT,UPDATE ON TABLE public.job TO milepost_app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.job TO milepost_worker;
GRANT SELECT,INSERT,UPDATE ON TABLE public.job TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.lane TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.lane TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.lane TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.lane_history TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.lane_history TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.lane_history TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.mail_count TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.mail_count TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.mail_count TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.mail_refusal TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.mail_refusal TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.mail_refusal TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.message TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.message TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.message TO milepost_admin;

GRANT USAGE ON SEQUENCE public.message_message_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.message_message_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.message_message_id_seq TO milepost_admin;

GRANT SELECT ON TABLE public.operator_credential TO milepost_app;
GRANT SELECT ON TABLE public.operator_credential TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.operator_credential TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.outbox TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.outbox TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.outbox TO milepost_admin;

GRANT USAGE ON SEQUENCE public.outbox_outbox_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.outbox_outbox_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.outbox_outbox_id_seq TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parcel TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parcel TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parcel TO milepost_admin;

GRANT USAGE ON SEQUENCE public.parcel_parcel_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.parcel_parcel_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.parcel_parcel_id_seq TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parcel_search TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parcel_search TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parcel_search TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parcel_timing TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parcel_timing TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parcel_timing TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.push_payload TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.push_payload TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.push_payload TO milepost_admin;

GRANT USAGE ON SEQUENCE public.push_payload_push_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.push_payload_push_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.push_payload_push_id_seq TO milepost_admin;

GRANT SELECT,UPDATE ON TABLE public.push_secret TO milepost_app;
GRANT SELECT,UPDATE ON TABLE public.push_secret TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.push_secret TO milepost_admin;

GRANT USAGE ON SEQUENCE public.push_secret_push_secret_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.push_secret_push_secret_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.push_secret_push_secret_id_seq TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rate_window TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rate_window TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rate_window TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.raw_payload TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.raw_payload TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.raw_payload TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.subscription TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.subscription TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.subscription TO milepost_admin;

GRANT USAGE ON SEQUENCE public.subscription_subscription_id_seq TO milepost_app;
GRANT USAGE ON SEQUENCE public.subscription_subscription_id_seq TO milepost_worker;
GRANT USAGE ON SEQUENCE public.subscription_subscription_id_seq TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.told_status TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.told_status TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.told_status TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.tracked_number TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.tracked_number TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.tracked_number TO milepost_admin;

GRANT SELECT,INSERT,UPDATE ON TABLE public.unmapped_code TO milepost_app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.unmapped_code TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.unmapped_code TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.usage_day TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.usage_day TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.usage_day TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.usage_mark TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.usage_mark TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.usage_mark TO milepost_admin;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.watch TO milepost_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.watch TO milepost_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.watch TO milepost_admin;
