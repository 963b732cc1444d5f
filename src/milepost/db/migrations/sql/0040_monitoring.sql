-- When a lane was last given something to ask: whoever waited longest for a scarce quota comes first.
ALTER TABLE lane ADD COLUMN served_at timestamptz;

-- Takes up to p_limit due rows of a lane under a lease: the most urgent first, but a quarter from
-- lower urgencies. Requests have room for p_batch rows; what is left of the last one's is given to
-- rows that are due soon.
CREATE FUNCTION claim_due(
    p_account bigint, p_carrier text, p_limit integer, p_lease interval, p_batch integer
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

-- For the version before.
CREATE OR REPLACE FUNCTION claim_checks(
    p_account bigint, p_carrier text, p_limit integer, p_lease interval
) RETURNS TABLE (
    parcel_id bigint, fence bigint, misses integer, answer_hash bytea, tracking_number text,
    origin_country text, destination_country text, postal_code text, announced_at timestamptz,
    created_at timestamptz, phase text, exception text, status_type text, sub_status text,
    status text, status_at timestamptz, first_scan_at timestamptz, last_scan_at timestamptz,
    ended_at timestamptz, last_checked_at timestamptz, next_deadline_at timestamptz
)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM claim_due(p_account, p_carrier, p_limit, p_lease, 1);
END
$$;

-- Lets a lane wait for its quota's next slot, p_wait from now, where slots lie p_gap apart. The
-- longer ago it was given any, the earlier it comes to take it, by up to 0.9 s: slots are handed out
-- a second ahead, so the lanes that share a quota take turns, and one that goes on asking does not
-- get ahead of one that waits.
CREATE FUNCTION wait_for_slot(p_account bigint, p_carrier text, p_wait interval, p_gap interval)
RETURNS void
LANGUAGE plpgsql AS $$
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

-- What a lane's past is learnt from: about p_most of the parcels that ended in the last four weeks,
-- spread evenly over them, or those that ended last where they are fewer. The last ones alone would
-- be those of one day, at a busy lane. At most 200 times p_most are looked through.
CREATE OR REPLACE FUNCTION lane_samples(p_account bigint, p_carrier text, p_most integer)
RETURNS TABLE (
    origin_country text, destination_country text, announced_at timestamptz,
    first_scan_at timestamptz, delivered_at timestamptz, scans jsonb
)
LANGUAGE plpgsql AS $$
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
