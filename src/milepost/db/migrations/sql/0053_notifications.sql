-- What failed for good is looked for, and is little.
CREATE INDEX delivery_failed ON delivery (account_id, connection_id, delivery_id)
WHERE state = 'failed';

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
