-- Watching in depth: deadlines that wake a parcel, milestones that outlive it, what a lane learnt,
-- and the carriers' own answers.

-- When a row is looked at although nobody was asked. Rows of before are null until they are planned;
-- a new row, by whichever version, is looked at within a day and then knows its own deadline.
ALTER TABLE watch ALTER COLUMN next_deadline_at SET DEFAULT now() + interval '1 day';
-- When the next deadline of a lane is due; null: its rows have not been planned yet.
ALTER TABLE lane ADD COLUMN deadline_at timestamptz;
ALTER TABLE lane ALTER COLUMN deadline_at SET DEFAULT now() + interval '6 hours';
ALTER TABLE lane ADD COLUMN learnt_at timestamptz;
CREATE INDEX lane_deadline ON lane (deadline_at);

-- When what happened to a parcel, and nothing about whose it was. Outlives the parcel, so it has no
-- foreign key.
CREATE TABLE parcel_timing (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    origin_country text NOT NULL COLLATE "C",
    destination_country text NOT NULL COLLATE "C",
    registered_at timestamptz NOT NULL,
    announced_at timestamptz NOT NULL,
    first_scan_at timestamptz,
    in_delivery_at timestamptz,
    delivered_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (account_id, parcel_id)
);
CREATE INDEX parcel_timing_ended ON parcel_timing (account_id, carrier_code, ended_at DESC)
    WHERE ended_at IS NOT NULL;

-- What the past parcels of a lane teach; countries '' are all of the carrier's.
CREATE TABLE lane_history (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    origin_country text NOT NULL COLLATE "C",
    destination_country text NOT NULL COLLATE "C",
    learnt_at timestamptz NOT NULL,
    statistics jsonb NOT NULL,
    PRIMARY KEY (account_id, carrier_code, origin_country, destination_country)
);

-- What a carrier really answered, packed (zlib), by the month: a month is dropped as a whole. No
-- foreign key, which would take locks on parcel for that.
CREATE TABLE raw_payload (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    fetched_at timestamptz NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    content_type text NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (account_id, parcel_id, fetched_at)
) PARTITION BY RANGE (fetched_at);
ALTER TABLE raw_payload ALTER COLUMN payload SET STORAGE EXTERNAL;
-- The net below the months, should nobody have made the one that is needed.
CREATE TABLE raw_payload_rest PARTITION OF raw_payload DEFAULT;

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['parcel_timing', 'lane_history', 'raw_payload'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format(
            'CREATE POLICY own_account ON %I USING '
            '(account_id = nullif(current_setting(''milepost.account_id'', true), '''')::bigint)',
            tenant_table
        );
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO milepost_app, milepost_worker, milepost_admin',
            tenant_table
        );
    END LOOP;
END
$$;

-- Makes the months of raw_payload from p_first on that are not there yet; how many. With its owner's
-- rights, for only the owner of a table may give it parts: it names no row and no account.
CREATE FUNCTION make_raw_payload_months(p_first date, p_months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
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

-- Drops the months of raw_payload that were over before p_before, and such answers from the net; how
-- many parts went. With its owner's rights, as above.
CREATE FUNCTION drop_raw_payload_months(p_before timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
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
$$;
REVOKE ALL ON FUNCTION make_raw_payload_months(date, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION drop_raw_payload_months(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_raw_payload_months(date, integer) TO milepost_worker, milepost_admin;
GRANT EXECUTE ON FUNCTION drop_raw_payload_months(timestamptz) TO milepost_worker, milepost_admin;

-- Everything the rules need to know about parcels: rows, events, milestones, the schedule's row, the
-- state of their lane. load_parcels (0003) serves the version before.
CREATE FUNCTION load_tracked(p_account bigint, p_parcels bigint[])
RETURNS TABLE (
    parcel_id bigint, revision bigint, carrier_code text, tracking_number text, source_id text,
    request jsonb, announced_at timestamptz, created_at timestamptz, updated_at timestamptz,
    ended_at timestamptz, stopped_at timestamptz, stop_reason text, estimate jsonb, extra jsonb,
    event_count integer, lane_state text, epoch bigint, events jsonb, checked_at timestamptz,
    timing jsonb
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

-- Brings a lane's next deadline forward to p_deadline. Written only when it moves: a lane is looked
-- at every six hours anyway, so this is rare.
CREATE FUNCTION plan_deadline(p_account bigint, p_carrier text, p_deadline timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
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

-- Writes what one observation changed, all of it or nothing: true when revision (and the watch's
-- fence, where given) are still the ones that were read. p_told are the events to tell beside the
-- new ones (withdrawn, or raised again); p_timing the milestones, where they changed; p_raw the
-- carrier's answer, where it is kept. record_parcel (0003) serves the version before.
CREATE FUNCTION record_observation(
    p_account bigint, p_parcel bigint, p_revision bigint, p_fence bigint, p_now timestamptz,
    p_state jsonb, p_v3_answer bytea, p_v2_answer bytea, p_new_events jsonb,
    p_revised_events jsonb, p_dropped integer[], p_told jsonb, p_watch jsonb,
    p_deadline timestamptz, p_timing jsonb, p_raw bytea, p_raw_type text
) RETURNS boolean
LANGUAGE plpgsql AS $$
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

-- Parcels a carrier was asked about, by UTC day: counted in the statement that takes them to ask, which
-- writes their lane as well, so that no check waits for a counter.
CREATE TABLE check_day (
    account_id bigint NOT NULL,
    day date NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    checks bigint NOT NULL,
    PRIMARY KEY (account_id, day, carrier_code)
) WITH (fillfactor = 80);
ALTER TABLE check_day ENABLE ROW LEVEL SECURITY;
ALTER TABLE check_day FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON check_day USING
    (account_id = nullif(current_setting('milepost.account_id', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON check_day TO milepost_app, milepost_worker, milepost_admin;

-- In place of claim_watches (0003): while more is due no entry of the schedule's index is read twice,
-- the next deadline goes with it, and who is asked is counted.
CREATE FUNCTION claim_checks(
    p_account bigint, p_carrier text, p_limit integer, p_lease interval
) RETURNS TABLE (
    parcel_id bigint, fence bigint, misses integer, answer_hash bytea, tracking_number text,
    origin_country text, destination_country text, postal_code text, announced_at timestamptz,
    created_at timestamptz, phase text, exception text, status_type text, sub_status text,
    status text, status_at timestamptz, first_scan_at timestamptz, last_scan_at timestamptz,
    ended_at timestamptz, last_checked_at timestamptz, next_deadline_at timestamptz
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    waiting bigint[];
    taken bigint[];
    more bigint[];
    -- By urgency, counted from 1: the latest due time of those taken, where the index is read on.
    latest timestamptz[] := array_fill('-infinity'::timestamptz, ARRAY[4]);
    last_due timestamptz;
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
    SELECT coalesce(array_agg(t.parcel_id), '{}'),
           ARRAY[latest[1], coalesce(max(t.due_at) FILTER (WHERE t.urgency = 1), latest[2]),
                 coalesce(max(t.due_at) FILTER (WHERE t.urgency = 2), latest[3]),
                 coalesce(max(t.due_at) FILTER (WHERE t.urgency = 3), latest[4])]
    INTO taken, latest
    FROM (SELECT w.parcel_id, w.due_at, w.urgency FROM watch w
          WHERE w.account_id = p_account AND w.parcel_id = ANY (waiting) AND w.due_at <= now()
          ORDER BY w.due_at LIMIT p_limit / 4 FOR UPDATE SKIP LOCKED) AS t;
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
    UPDATE lane l SET turn_at = greatest(coalesce(last_due, 'infinity'), now(), l.paused_until)
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

-- Takes parcels off today's count that were taken and then not asked about, for want of a slot.
CREATE FUNCTION uncount_checks(p_account bigint, p_carrier text, p_unasked integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE check_day SET checks = greatest(0, checks - p_unasked)
    WHERE account_id = p_account AND carrier_code = p_carrier
      AND day = (now() AT TIME ZONE 'UTC')::date;
END
$$;

-- Takes up to p_limit parcels of one lane whose deadline has passed, for p_lease, and sets when the
-- lane is looked at next: at its next deadline, within six hours. Whether anybody is asked about
-- them plays no part.
CREATE FUNCTION claim_deadlines(
    p_account bigint, p_carrier text, p_limit integer, p_lease interval
) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
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

-- Plans what the version before registered in a lane, p_limit parcels behind p_after: each is looked
-- at within a day, those that have ended never. Gives the last parcel it has seen; none left to see:
-- null, and the lane has deadlines from now on.
CREATE FUNCTION plan_old_deadlines(
    p_account bigint, p_carrier text, p_after bigint, p_limit integer
) RETURNS bigint
LANGUAGE plpgsql AS $$
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

-- Takes a lane to learn from, when that was last done p_every ago or longer. Told by its account and
-- carrier, so that two workers don't learn the same.
CREATE FUNCTION take_to_learn(p_account bigint, p_carrier text, p_every interval) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE lane l SET learnt_at = now()
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier
      AND (l.learnt_at IS NULL OR l.learnt_at <= now() - p_every);
    RETURN FOUND;
END
$$;

-- The milestones of the p_most parcels of a lane that ended last, with their scans while those are
-- still there: [instant, phase] of each.
CREATE FUNCTION lane_samples(p_account bigint, p_carrier text, p_most integer)
RETURNS TABLE (
    origin_country text, destination_country text, announced_at timestamptz,
    first_scan_at timestamptz, delivered_at timestamptz, scans jsonb
)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    WITH ended AS (
        SELECT t.parcel_id, t.origin_country, t.destination_country, t.announced_at,
               t.first_scan_at, t.delivered_at
        FROM parcel_timing t
        WHERE t.account_id = p_account AND t.carrier_code = p_carrier AND t.ended_at IS NOT NULL
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
