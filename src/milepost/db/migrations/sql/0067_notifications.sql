-- Writing down costs by the statement that is begun, not by the row: of what was delivered it is one now,
-- where it was an EXISTS in all partitions of attempts, a SELECT and an UPDATE that knows how to look for
-- earlier ones; and which parcels have a next one is asked once, where an UPDATE of each found mostly
-- none. 317 us of PostgreSQL's CPU a delivery before and 225 now, twelve written down together.
CREATE OR REPLACE FUNCTION release_next(
    p_account bigint, p_connection bigint, p_deliveries bigint[])
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
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

-- What became of deliveries of a lane that is held: p_states by delivery; a pending one is due again
-- p_due_in seconds from now. Behind a finished one the parcel's next is due. p_attempts numbers what was
-- sent; 0 where nothing was and the log says why, null where it says nothing. And what it says of the subscriber: p_failures in a row, p_reason for
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
CREATE OR REPLACE FUNCTION finish_deliveries(
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
    sequence integer, action text, body bytea, held boolean, disabled boolean, let_go boolean,
    gone bigint[])
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

-- Deliveries, one for each triple. Whether a parcel has something to deliver before is looked up by its
-- own rows: as an EXISTS it was planned to read all that is pending first, so that each fan-out cost more
-- the more there was to be told (16 ms of PostgreSQL's CPU for a hundred, with 9,000 pending, and 4 to 8
-- with none).
CREATE OR REPLACE FUNCTION deliver_to(
    p_account bigint, p_connections bigint[], p_messages bigint[], p_parcels bigint[])
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
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
