-- What became of deliveries, as before; but while its subscriber rests a lane has no turn, even if
-- whoever holds it dies before it lets go: it would be looked at all that time in vain. And it is
-- noted once that a connection was given up, however many answers say so.
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

-- What is due on a lane that is held, the longest due first, but for what is in hand already; the
-- lease begins anew when half of it is over. held is false, and nothing else is there, where the lane
-- is not held any more, or does not deliver any more.
CREATE OR REPLACE FUNCTION due_deliveries(
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

-- Takes back all that was said of a parcel: messages, deliveries and what came back of them. In the
-- feed gravestones stay, so that its numbers have no gap. The caller holds the parcel's row, which
-- whoever tells of a parcel holds too. How many rows there were.
CREATE OR REPLACE FUNCTION forget_told(p_account bigint, p_parcel bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
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

-- Forgets what was told before p_before, at most p_most of the feed and as many messages with their
-- deliveries, the oldest first; how many rows that were. What is still pending by then is given up.
-- Nothing that the feed still names is forgotten, and nothing that is newer waits for it.
CREATE OR REPLACE FUNCTION forget_old_told(p_account bigint, p_before timestamptz, p_most integer)
RETURNS bigint
LANGUAGE plpgsql AS $$
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
