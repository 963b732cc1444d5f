-- An integration that was deleted is told so. Until that is delivered, or given up, its row stays with
-- the time of its deletion, and nobody is shown it.
ALTER TABLE connection ADD COLUMN deleted_at timestamptz;

-- Puts something that is of no parcel on its way to one connection. False, and nothing is written,
-- where there is no such connection.
CREATE FUNCTION tell_connection(
    p_account bigint, p_connection bigint, p_event text, p_action text, p_form text, p_body bytea)
RETURNS boolean
LANGUAGE plpgsql AS $$
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

-- Gives up what is pending for a connection. The caller has locked its lane.
CREATE FUNCTION cancel_deliveries(p_account bigint, p_connection bigint) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE delivery d SET state = 'cancelled', finished_at = now()
    WHERE d.account_id = p_account AND d.connection_id = p_connection AND d.state = 'pending';
    UPDATE delivery_lane l SET turn_at = 'infinity'
    WHERE l.account_id = p_account AND l.connection_id = p_connection;
END
$$;

-- Removes connections that were deleted, at most p_most, with what was sent to them: those to which
-- nothing is to be delivered any more, or can be. How many.
CREATE FUNCTION forget_deleted_connections(p_account bigint, p_most integer) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    gone bigint[];
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    SELECT coalesce(array_agg(old.connection_id), '{}') INTO gone
    FROM (SELECT l.connection_id
          FROM delivery_lane l
          JOIN connection c ON c.account_id = p_account AND c.connection_id = l.connection_id
          WHERE l.account_id = p_account AND c.deleted_at IS NOT NULL
            AND (l.state <> 'open' OR NOT EXISTS (
                SELECT FROM delivery d
                WHERE d.account_id = p_account AND d.connection_id = l.connection_id
                  AND d.state = 'pending'))
          ORDER BY l.connection_id LIMIT p_most
          FOR UPDATE OF l SKIP LOCKED) AS old;
    DELETE FROM delivery_attempt a WHERE a.account_id = p_account AND a.connection_id = ANY (gone);
    DELETE FROM delivery d WHERE d.account_id = p_account AND d.connection_id = ANY (gone);
    DELETE FROM delivery_lane l WHERE l.account_id = p_account AND l.connection_id = ANY (gone);
    DELETE FROM subscription s WHERE s.account_id = p_account AND s.connection_id = ANY (gone);
    DELETE FROM connection c WHERE c.account_id = p_account AND c.connection_id = ANY (gone);
    RETURN cardinality(gone);
END
$$;
REVOKE ALL ON FUNCTION tell_connection(bigint, bigint, text, text, text, bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION cancel_deliveries(bigint, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION forget_deleted_connections(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tell_connection(bigint, bigint, text, text, text, bytea)
TO milepost_app, milepost_worker, milepost_admin;
GRANT EXECUTE ON FUNCTION cancel_deliveries(bigint, bigint)
TO milepost_app, milepost_worker, milepost_admin;
GRANT EXECUTE ON FUNCTION forget_deleted_connections(bigint, integer)
TO milepost_worker, milepost_admin;
