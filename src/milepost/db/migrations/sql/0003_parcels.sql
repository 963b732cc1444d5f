-- The hot statements of parcels and monitoring. Each is SECURITY INVOKER, takes the account first
-- and sets it for row-level security in its first line: one round trip with the second lock on.

-- The integer contract id we answer with for (account, carrier), made at first use.
CREATE FUNCTION contract_of(p_account bigint, p_carrier text) RETURNS bigint
LANGUAGE plpgsql AS $$
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

-- Registers a parcel with its first event, its schedule and its outbox row; raises 23505 when the
-- number or the source_id belongs to a parcel that has not been over for long enough.
CREATE FUNCTION register_parcel(
    p_account bigint, p_carrier text, p_number text, p_number_key text, p_identifier_key text,
    p_source_id text, p_request jsonb, p_announced_at timestamptz, p_now timestamptz,
    p_reusable_before timestamptz, p_state jsonb, p_event jsonb, p_urgency smallint
) RETURNS bigint
LANGUAGE plpgsql AS $$
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

-- Brings a lane's turn forward to p_turn_at, never before its pause is over. A lane whose credential
-- was refused has turns too: it is tried again now and then.
CREATE FUNCTION plan_lane(p_account bigint, p_carrier text, p_turn_at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
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

-- The finished answers of the newest parcel behind each number.
CREATE FUNCTION read_answers(p_account bigint, p_number_keys text[])
RETURNS TABLE (
    number_key text, parcel_id bigint, render_epoch bigint, etag text, v3_answer bytea,
    v2_answer bytea
)
LANGUAGE plpgsql AS $$
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

-- Everything the rules need to know about parcels: rows, events, the state of their lane.
CREATE FUNCTION load_parcels(p_account bigint, p_parcels bigint[])
RETURNS TABLE (
    parcel_id bigint, revision bigint, carrier_code text, tracking_number text, source_id text,
    request jsonb, announced_at timestamptz, created_at timestamptz, updated_at timestamptz,
    ended_at timestamptz, stopped_at timestamptz, stop_reason text, estimate jsonb, extra jsonb,
    event_count integer, lane_state text, epoch bigint, events jsonb
)
LANGUAGE plpgsql AS $$
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

-- Writes what one observation changed, all of it or nothing: true when revision (and the watch's
-- fence, where given) are still the ones that were read.
CREATE FUNCTION record_parcel(
    p_account bigint, p_parcel bigint, p_revision bigint, p_fence bigint, p_now timestamptz,
    p_state jsonb, p_v3_answer bytea, p_v2_answer bytea, p_new_events jsonb,
    p_revised_events jsonb, p_dropped integer[], p_watch jsonb
) RETURNS boolean
LANGUAGE plpgsql AS $$
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

-- Stores a fresh rendering of an unchanged parcel.
CREATE FUNCTION keep_answers(
    p_account bigint, p_parcel bigint, p_revision bigint, p_render_epoch bigint, p_etag text,
    p_v3_answer bytea, p_v2_answer bytea
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE parcel SET render_epoch = p_render_epoch, etag = p_etag, v3_answer = p_v3_answer,
                      v2_answer = p_v2_answer
    WHERE account_id = p_account AND parcel_id = p_parcel AND revision = p_revision
      AND render_epoch < p_render_epoch;
END
$$;

-- Takes up to p_limit due rows of one lane for p_lease, most urgent first, with a quarter kept for
-- the less urgent, and sets the lane's next turn.
CREATE FUNCTION claim_watches(
    p_account bigint, p_carrier text, p_limit integer, p_lease interval
) RETURNS TABLE (
    parcel_id bigint, fence bigint, misses integer, answer_hash bytea, tracking_number text,
    origin_country text, destination_country text, postal_code text, announced_at timestamptz,
    created_at timestamptz, phase text, exception text, status_type text, sub_status text,
    status text, status_at timestamptz, first_scan_at timestamptz, last_scan_at timestamptz,
    ended_at timestamptz, last_checked_at timestamptz
)
LANGUAGE plpgsql AS $$
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

-- Plans the next check of rows whose answer changed nothing; a stale fence changes nothing.
CREATE FUNCTION finish_checks(p_account bigint, p_carrier text, p_rows jsonb) RETURNS integer
LANGUAGE plpgsql AS $$
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

-- Closes or pauses a lane: nobody asks for it for p_wait (null: until it is opened again). True when
-- its state is another one now.
CREATE FUNCTION pause_lane(
    p_account bigint, p_carrier text, p_state text, p_wait interval
) RETURNS boolean
LANGUAGE plpgsql AS $$
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

-- Makes every parcel of one lane due now: its carrier's clock was moved, or it was opened again. True
-- when its state is another one now.
CREATE FUNCTION wake_lane(p_account bigint, p_carrier text) RETURNS boolean
LANGUAGE plpgsql AS $$
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

-- Raises an account's render epoch: what its stored answers say is out of date.
CREATE FUNCTION raise_render_epoch(p_account bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE account SET render_epoch = render_epoch + 1 WHERE account_id = p_account;
END
$$;

-- Hands out up to p_most start times towards a carrier with one credential, p_spacing apart, that
-- lie within p_horizon; none granted: how long to stay away. By this clock alone: a worker's may be
-- wrong. Platform table: no account.
CREATE FUNCTION take_carrier_slots(
    p_carrier text, p_owner text, p_spacing interval, p_horizon interval, p_most integer,
    OUT granted integer, OUT start_at timestamptz, OUT wait interval
)
LANGUAGE plpgsql AS $$
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

-- Gives back slots nobody used, from the end of those that started at p_start_at; once somebody has
-- taken later ones they are forfeited.
CREATE FUNCTION return_carrier_slots(
    p_carrier text, p_owner text, p_spacing interval, p_start_at timestamptz, p_granted integer,
    p_unused integer
) RETURNS void
LANGUAGE sql AS $$
    UPDATE carrier_budget SET next_slot_at = p_start_at + (p_granted - p_unused) * p_spacing
    WHERE carrier_code = p_carrier AND owner = p_owner
      AND next_slot_at = p_start_at + p_granted * p_spacing
$$;

-- Whether a worker's claim on a parcel still stands.
CREATE FUNCTION holds_fence(p_account bigint, p_parcel bigint, p_fence bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN EXISTS (SELECT FROM watch w WHERE w.account_id = p_account
                   AND w.parcel_id = p_parcel AND w.fence = p_fence);
END
$$;

-- No slots towards a carrier with one credential for p_wait: it answered Retry-After.
CREATE FUNCTION hold_carrier(p_carrier text, p_owner text, p_wait interval) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO carrier_budget (carrier_code, owner, paused_until)
    VALUES (p_carrier, p_owner, now() + p_wait)
    ON CONFLICT (carrier_code, owner) DO UPDATE
    SET paused_until = greatest(carrier_budget.paused_until, excluded.paused_until)
$$;

-- When the first row of a lane is due.
CREATE FUNCTION earliest_due(p_account bigint, p_carrier text) RETURNS timestamptz
LANGUAGE plpgsql AS $$
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

-- Brings a lane's turn forward where a row is due before it.
CREATE FUNCTION repair_lane(p_account bigint, p_carrier text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    earliest timestamptz := earliest_due(p_account, p_carrier);
BEGIN
    IF earliest <= now() THEN
        PERFORM plan_lane(p_account, p_carrier, earliest);
    END IF;
END
$$;
