-- A lane's turn costs as few statements as can be: it is taken with what is due there, what came back
-- is written down with what is due next, and with the last of it the lane is let go. Planned once for
-- each connection, and so that the plan fits when the tables have grown: planning these statements anew
-- each time took as long as all else of them.
DROP FUNCTION take_lane(bigint, bigint, interval);
DROP FUNCTION due_deliveries(bigint, bigint, bigint, interval, bigint[], integer);
DROP FUNCTION finish_deliveries(
    bigint, bigint, bigint, bigint[], text[], double precision[], boolean[], timestamptz[], integer[],
    text[], integer[], text[], jsonb[], bytea[], integer, boolean, double precision, text, boolean,
    interval, bigint[], integer);

-- All that sending to a connection takes, as one number: another one as soon as any of it is.
CREATE FUNCTION sending_revision(p_account bigint, p_connection bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
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

-- What is due on a lane, the longest due first, but for what is in hand already.
CREATE FUNCTION due_deliveries(
    p_account bigint, p_connection bigint, p_in_hand bigint[], p_most integer)
RETURNS TABLE (
    delivery_id bigint, parcel_id bigint, attempts integer, replayed_at timestamptz, event_id text,
    sequence integer, action text, body bytea)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT d.delivery_id, d.parcel_id, d.attempts, d.replayed_at, m.event_id, m.sequence, m.action,
           m.body
    FROM delivery d
    JOIN message m ON m.account_id = p_account AND m.message_id = d.message_id
    WHERE d.account_id = p_account AND d.connection_id = p_connection AND d.state = 'pending'
      AND d.due_at <= now() AND NOT d.delivery_id = ANY (p_in_hand)
    ORDER BY d.due_at, d.delivery_id LIMIT p_most;
END
$$;

-- Takes a lane whose turn it is for p_lease: a row of the lane, then one of each delivery that is due
-- there, p_most at most. No row where another has it, or it has no turn.
CREATE FUNCTION take_lane(
    p_account bigint, p_connection bigint, p_lease interval, p_most integer)
RETURNS TABLE (
    fence bigint, failures integer, failing_since timestamptz, kind text, form text, url text,
    settings jsonb, sealed bytea, signing_key bytea, former_key bytea, former_key_until timestamptz,
    revision bigint, delivery_id bigint, parcel_id bigint, attempts integer, replayed_at timestamptz,
    event_id text, sequence integer, action text, body bytea)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
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

-- Holds on to a lane, whose lease begins anew when half of it is over: what is due there, then a row
-- that says whether it is held. It is not where another has it, where it does not deliver any more, and
-- where p_revision is no more how it is sent to.
CREATE FUNCTION keep_lane(
    p_account bigint, p_connection bigint, p_fence bigint, p_revision bigint, p_lease interval,
    p_in_hand bigint[], p_most integer)
RETURNS TABLE (
    delivery_id bigint, parcel_id bigint, attempts integer, replayed_at timestamptz, event_id text,
    sequence integer, action text, body bytea, held boolean, disabled boolean, let_go boolean)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
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
        SELECT d.*, NULL::boolean, NULL::boolean, NULL::boolean
        FROM due_deliveries(p_account, p_connection, p_in_hand, p_most) AS d;
    END IF;
    RETURN QUERY
    SELECT NULL::bigint, NULL::bigint, NULL::integer, NULL::timestamptz, NULL::text, NULL::integer,
           NULL::text, NULL::bytea, is_held, false, false;
END
$$;

-- What became of deliveries of a lane that is held: p_states by delivery; a pending one is due again
-- p_due_in seconds from now. Behind a finished one the parcel's next is due. p_attempts numbers what was
-- sent, null where nothing was. And what it says of the subscriber: p_failures in a row, p_reason for
-- the last of them, seconds to p_rest; p_disable: it is given up, which its account finds in the audit,
-- once. While its subscriber rests the lane has no turn, even if whoever holds it dies before it lets
-- go: it would be looked at all that time in vain.
--
-- What failed counts for what it was sent with: where p_revision is no more how it is sent to, or a
-- delivery was replayed since (p_replayed), it is noted as an attempt, and tried again at once.
--
-- p_leave: nothing else is in hand; the lane is let go where nothing is due. p_again: this may have been
-- written already, and the answer lost. It answers as keep_lane does. Nothing is written where another
-- holds the lane.
CREATE FUNCTION finish_deliveries(
    p_account bigint,
    p_connection bigint,
    p_fence bigint,
    p_revision bigint,
    p_deliveries bigint[],
    p_replayed timestamptz[],
    p_states text[],
    p_due_in double precision[],
    p_attempts integer[],
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
    p_most integer,
    p_leave boolean,
    p_again boolean)
RETURNS TABLE (
    delivery_id bigint, parcel_id bigint, attempts integer, replayed_at timestamptz, event_id text,
    sequence integer, action text, body bytea, held boolean, disabled boolean, let_go boolean)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
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
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT l.state = 'open', l.lease_until < now() + p_lease / 2 INTO was_open, is_old
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
        WITH told AS (
            SELECT r.*
            FROM unnest(p_deliveries, p_replayed, p_states, p_due_in, p_attempts, p_started,
                        p_milliseconds, p_outcomes, p_statuses, p_errors, p_headers, p_answers)
                AS r (delivery_id, replayed_at, state, due_in, attempt, started_at, milliseconds,
                      outcome, status, error, headers, answer)
            WHERE NOT p_again OR NOT EXISTS (
                SELECT FROM delivery_attempt a
                WHERE a.account_id = p_account AND a.delivery_id = r.delivery_id
                  AND a.attempt = r.attempt AND a.started_at = r.started_at)
        ), meant AS (
            -- One that was cancelled meanwhile stays so.
            SELECT t.*, d.parcel_id,
                   t.state IN ('delivered', 'cancelled')
                   OR is_as_sent AND d.replayed_at IS NOT DISTINCT FROM t.replayed_at AS counts
            FROM told t
            JOIN delivery d ON d.account_id = p_account AND d.delivery_id = t.delivery_id
            WHERE d.state = 'pending'
        ), finished AS (
            UPDATE delivery d SET
                state = CASE WHEN t.counts THEN t.state ELSE 'pending' END,
                attempts = d.attempts + (t.counts AND t.attempt IS NOT NULL)::integer,
                -- An earlier one of its parcel may be replayed meanwhile, and goes first then.
                due_at = CASE
                    WHEN t.counts AND t.state <> 'pending' THEN d.due_at
                    WHEN EXISTS (
                        SELECT FROM delivery e
                        WHERE e.account_id = p_account AND e.connection_id = p_connection
                          AND e.parcel_id = d.parcel_id AND e.state = 'pending'
                          AND e.delivery_id < d.delivery_id) THEN 'infinity'
                    WHEN t.counts THEN now() + t.due_in * interval '1 s'
                    ELSE now() END,
                finished_at = CASE WHEN t.counts AND t.state <> 'pending' THEN now() END
            FROM meant t
            WHERE d.account_id = p_account AND d.delivery_id = t.delivery_id AND d.state = 'pending'
            RETURNING d.delivery_id
        )
        INSERT INTO delivery_attempt (
            account_id, delivery_id, attempt, started_at, connection_id, parcel_id, outcome, status,
            milliseconds, error, request_headers, answer)
        SELECT p_account, t.delivery_id, t.attempt, t.started_at, p_connection, t.parcel_id,
               t.outcome, t.status, t.milliseconds, t.error, t.headers, t.answer
        FROM finished f JOIN meant t ON t.delivery_id = f.delivery_id
        WHERE t.attempt IS NOT NULL
        ON CONFLICT DO NOTHING;
        PERFORM release_next(p_account, p_connection, p_deliveries);
        IF is_held THEN
            RETURN QUERY
            SELECT d.*, NULL::boolean, NULL::boolean, NULL::boolean
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
           NULL::text, NULL::bytea, is_held, is_given_up, is_left;
END
$$;

ALTER FUNCTION release_next(bigint, bigint, bigint[]) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION release_next(bigint, bigint, bigint[]) SET enable_seqscan = off;
ALTER FUNCTION leave_lane(bigint, bigint, bigint) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION leave_lane(bigint, bigint, bigint) SET enable_seqscan = off;
