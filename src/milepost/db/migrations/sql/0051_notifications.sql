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

REVOKE ALL ON FUNCTION tell_connection(bigint, bigint, text, text, text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tell_connection(bigint, bigint, text, text, text, bytea)
TO milepost_app, milepost_worker, milepost_admin;
