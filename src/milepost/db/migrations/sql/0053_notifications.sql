-- A delivery that was finished may be sent again, under the same id: it is pending once more, and its
-- attempts are counted from the beginning.
ALTER TABLE delivery ADD COLUMN replayed_at timestamptz;

-- What failed for good is looked for, and is little.
CREATE INDEX delivery_failed ON delivery (account_id, connection_id, delivery_id)
WHERE state = 'failed';

-- What became of deliveries of a lane that is held: p_states by delivery; a pending one is due again
-- p_due_in seconds from now. Behind a finished one the parcel's next is due. What was sent is noted at
-- the same places: p_sent says whether anything was. And what it says of the subscriber: p_failures in
-- a row, p_reason for the last of them, seconds to p_rest; p_disable: it is given up, which its
-- account finds in the audit. False, and nothing is written, where another holds the lane.
CREATE OR REPLACE FUNCTION finish_deliveries(
    p_account bigint,
    p_connection bigint,
    p_fence bigint,
    p_deliveries bigint[],
    p_states text[],
    p_due_in double precision[],
    p_sent boolean[],
    p_started timestamptz[],
    p_milliseconds integer[],
    p_outcomes text[],
    p_statuses integer[],
    p_errors text[],
    p_headers jsonb[],
    p_answers bytea[],
    p_failures integer,
    p_succeeded boolean,
    p_rest double precision,
    p_reason text,
    p_disable boolean)
RETURNS boolean
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    is_disabled boolean;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE delivery_lane l SET
        failures = p_failures,
        rests_until = CASE WHEN p_rest > 0 THEN now() + p_rest * interval '1 s' END,
        failing_since = CASE
            WHEN p_failures = 0 THEN NULL
            WHEN p_succeeded THEN now()
            ELSE coalesce(l.failing_since, now()) END,
        last_success_at = CASE WHEN p_succeeded THEN now() ELSE l.last_success_at END,
        last_failure_at = CASE WHEN p_failures > 0 THEN now() ELSE l.last_failure_at END,
        state = CASE WHEN p_disable AND l.state = 'open' THEN 'disabled' ELSE l.state END,
        reason = CASE WHEN l.state = 'open' THEN p_reason ELSE l.reason END
    WHERE l.account_id = p_account AND l.connection_id = p_connection AND l.fence = p_fence
    RETURNING p_disable AND l.state = 'disabled' INTO is_disabled;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF is_disabled THEN
        INSERT INTO audit (account_id, actor, action, detail)
        VALUES (p_account, 'milepost', 'connection.disabled',
                jsonb_build_object('connection_id', p_connection, 'reason', p_reason));
    END IF;
    WITH told AS (
        SELECT r.*
        FROM unnest(p_deliveries, p_states, p_due_in, p_sent, p_started, p_milliseconds, p_outcomes,
                    p_statuses, p_errors, p_headers, p_answers)
            AS r (delivery_id, state, due_in, sent, started_at, milliseconds, outcome, status, error,
                  headers, answer)
    ), finished AS (
        -- One that was cancelled meanwhile stays so.
        UPDATE delivery d SET
            state = t.state,
            attempts = d.attempts + t.sent::integer,
            -- An earlier one of its parcel may be replayed meanwhile, and goes first then.
            due_at = CASE
                WHEN t.state <> 'pending' THEN d.due_at
                WHEN EXISTS (
                    SELECT FROM delivery e
                    WHERE e.account_id = p_account AND e.connection_id = p_connection
                      AND e.parcel_id = d.parcel_id AND e.state = 'pending'
                      AND e.delivery_id < d.delivery_id) THEN 'infinity'
                ELSE now() + t.due_in * interval '1 s' END,
            finished_at = CASE WHEN t.state = 'pending' THEN NULL ELSE now() END
        FROM told t
        WHERE d.account_id = p_account AND d.delivery_id = t.delivery_id AND d.state = 'pending'
        RETURNING d.delivery_id, d.parcel_id, d.attempts
    )
    INSERT INTO delivery_attempt (
        account_id, delivery_id, attempt, started_at, connection_id, parcel_id, outcome, status,
        milliseconds, error, request_headers, answer)
    SELECT p_account, f.delivery_id, f.attempts, t.started_at, p_connection, f.parcel_id, t.outcome,
           t.status, t.milliseconds, t.error, t.headers, t.answer
    FROM finished f JOIN told t ON t.delivery_id = f.delivery_id
    WHERE t.sent
    ON CONFLICT DO NOTHING;
    PERFORM release_next(p_account, p_connection, p_deliveries);
    RETURN true;
END
$$;

-- Behind these deliveries, which were in hand, the first that is pending of each parcel is due: since
-- it was made, so that those go out first which have waited longest. The caller has locked the lane.
CREATE OR REPLACE FUNCTION release_next(
    p_account bigint, p_connection bigint, p_deliveries bigint[])
RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE delivery d SET due_at = coalesce(d.replayed_at, d.created_at)
    FROM (
        SELECT DISTINCT f.parcel_id FROM delivery f
        WHERE f.account_id = p_account AND f.delivery_id = ANY (p_deliveries)) AS of_parcel,
    LATERAL (
        SELECT n.delivery_id FROM delivery n
        WHERE n.account_id = p_account AND n.connection_id = p_connection
          AND n.parcel_id = of_parcel.parcel_id AND n.state = 'pending'
        ORDER BY n.delivery_id LIMIT 1) AS next
    WHERE d.account_id = p_account AND d.delivery_id = next.delivery_id AND d.due_at = 'infinity';
END
$$;

-- Lets a lane go; its turn is when the next of its deliveries is due, and behind that of whoever waits
-- already: an old backlog would be in everybody's way else. The row is locked before that is looked for.
CREATE OR REPLACE FUNCTION leave_lane(p_account bigint, p_connection bigint, p_fence bigint)
RETURNS void
LANGUAGE plpgsql AS $$
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

-- Sends deliveries of a connection again: what is finished is pending again, what waits for its next
-- attempt need not wait any more. Each parcel's go out in the order they were made, those included that
-- are pending anyhow; only where a later one may be under way at this moment they wait for it. How
-- many; null where there is no such connection.
CREATE FUNCTION replay_deliveries(p_account bigint, p_connection bigint, p_deliveries bigint[])
RETURNS integer
LANGUAGE plpgsql AS $$
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

-- Below which id no delivery of a connection was made at or after p_since. Ids are given in the order
-- of time, so it is found by halving, a look into the index each; two transactions at once may give
-- theirs a moment apart, so a minute more is left to whoever reads on.
CREATE FUNCTION deliveries_since(p_account bigint, p_connection bigint, p_since timestamptz)
RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
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
REVOKE ALL ON FUNCTION replay_deliveries(bigint, bigint, bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION deliveries_since(bigint, bigint, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION replay_deliveries(bigint, bigint, bigint[])
TO milepost_app, milepost_worker, milepost_admin;
GRANT EXECUTE ON FUNCTION deliveries_since(bigint, bigint, timestamptz)
TO milepost_app, milepost_worker, milepost_admin;
