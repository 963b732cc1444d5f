-- Takes a lane whose turn it is for p_lease; no row where another has it, or it has no turn.
CREATE FUNCTION take_lane(p_account bigint, p_connection bigint, p_lease interval)
RETURNS TABLE (
    fence bigint, failures integer, failing_since timestamptz, kind text, form text, url text,
    settings jsonb, sealed bytea, signing_key bytea, former_key bytea, former_key_until timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    UPDATE delivery_lane l SET
        fence = l.fence + 1, lease_until = now() + p_lease, turn_at = now() + p_lease
    FROM connection c
    WHERE l.account_id = p_account AND l.connection_id = p_connection
      AND c.account_id = p_account AND c.connection_id = l.connection_id
      AND l.state = 'open' AND l.turn_at <= now()
      AND coalesce(l.lease_until <= now(), true) AND coalesce(l.rests_until <= now(), true)
    RETURNING l.fence, l.failures, l.failing_since, c.kind, c.form, c.url, c.settings, c.sealed,
              c.signing_key, c.former_key, c.former_key_until;
END
$$;

-- What is due on a lane that is held, the longest due first, but for what is in hand already; the
-- lease begins anew when half of it is over. held is false, and nothing else is there, where the lane
-- is not held any more, or does not deliver any more.
CREATE FUNCTION due_deliveries(
    p_account bigint, p_connection bigint, p_fence bigint, p_lease interval, p_in_hand bigint[],
    p_most integer)
RETURNS TABLE (
    held boolean, delivery_id bigint, parcel_id bigint, attempts integer, event_id text,
    sequence integer, action text, body bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    leased_until timestamptz;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT l.lease_until INTO leased_until FROM delivery_lane l
    WHERE l.account_id = p_account AND l.connection_id = p_connection AND l.fence = p_fence
      AND l.state = 'open';
    held := FOUND;
    RETURN NEXT;
    IF held AND leased_until < now() + p_lease / 2 THEN
        UPDATE delivery_lane l SET
            lease_until = now() + p_lease, turn_at = greatest(now() + p_lease, l.rests_until)
        WHERE l.account_id = p_account AND l.connection_id = p_connection AND l.fence = p_fence;
    END IF;
    IF NOT held THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT true, d.delivery_id, d.parcel_id, d.attempts, m.event_id, m.sequence, m.action, m.body
    FROM delivery d
    JOIN message m ON m.account_id = p_account AND m.message_id = d.message_id
    WHERE d.account_id = p_account AND d.connection_id = p_connection AND d.state = 'pending'
      AND d.due_at <= now() AND NOT d.delivery_id = ANY (p_in_hand)
    ORDER BY d.due_at, d.delivery_id LIMIT p_most;
END
$$;

-- What became of deliveries of a lane that is held: p_states by delivery; a pending one is due again
-- p_due_in seconds from now. Behind a finished one the parcel's next is due. What was sent is noted at
-- the same places: p_sent says whether anything was. And what it says of the subscriber: p_failures in
-- a row, p_reason for the last of them, seconds to p_rest; p_disable: it is given up, which its
-- account finds in the audit. Then, what is due, as due_deliveries answers. Nothing is written where
-- another holds the lane. While its subscriber rests the lane has no turn, even if whoever holds it dies
-- before it lets go: it would be looked at all that time in vain. That it was given up is noted once,
-- however many answers say so.
CREATE FUNCTION finish_deliveries(
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
    p_disable boolean,
    p_lease interval,
    p_in_hand bigint[],
    p_most integer)
RETURNS TABLE (
    held boolean, delivery_id bigint, parcel_id bigint, attempts integer, event_id text,
    sequence integer, action text, body bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    rest_over timestamptz := CASE WHEN p_rest > 0 THEN now() + p_rest * interval '1 s' END;
    was_open boolean;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT l.state = 'open' INTO was_open FROM delivery_lane l
    WHERE l.account_id = p_account AND l.connection_id = p_connection AND l.fence = p_fence
    FOR UPDATE;
    IF NOT FOUND THEN
        held := false;
        RETURN NEXT;
        RETURN;
    END IF;
    UPDATE delivery_lane l SET
        failures = p_failures,
        rests_until = rest_over,
        turn_at = greatest(l.turn_at, rest_over),
        failing_since = CASE
            WHEN p_failures = 0 THEN NULL
            WHEN p_succeeded THEN now()
            ELSE coalesce(l.failing_since, now()) END,
        last_success_at = CASE WHEN p_succeeded THEN now() ELSE l.last_success_at END,
        last_failure_at = CASE WHEN p_failures > 0 THEN now() ELSE l.last_failure_at END,
        state = CASE WHEN p_disable AND was_open THEN 'disabled' ELSE l.state END,
        reason = CASE WHEN was_open THEN p_reason ELSE l.reason END
    WHERE l.account_id = p_account AND l.connection_id = p_connection;
    IF p_disable AND was_open THEN
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
    RETURN QUERY
    SELECT * FROM due_deliveries(p_account, p_connection, p_fence, p_lease, p_in_hand, p_most);
END
$$;

-- Behind these deliveries, which were in hand, the first that is pending of each parcel is due: since
-- it was made, so that those go out first which have waited longest. The caller has locked the lane.
CREATE FUNCTION release_next(
    p_account bigint, p_connection bigint, p_deliveries bigint[])
RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE delivery d SET due_at = greatest(d.replayed_at, d.created_at)
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
CREATE FUNCTION leave_lane(p_account bigint, p_connection bigint, p_fence bigint)
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
