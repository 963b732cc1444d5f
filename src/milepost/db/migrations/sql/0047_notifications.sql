-- Takes what happened out of the outbox into the feed and to whom it is told, all or nothing. The
-- caller holds the account's feed_head, so numbers are given without a gap and in one order. Messages
-- are named by their place in p_message_*; p_feed_message 0 is none. Lanes are locked before the
-- deliveries are looked at: whoever finishes one does so too, and neither misses the other.
CREATE FUNCTION tell(
    p_account bigint,
    p_outbox bigint[],
    p_message_parcel bigint[],
    p_message_sequence integer[],
    p_message_event text[],
    p_message_action text[],
    p_message_form text[],
    p_message_body bytea[],
    p_feed_parcel bigint[],
    p_feed_sequence integer[],
    p_feed_kind text[],
    p_feed_recorded timestamptz[],
    p_feed_message integer[],
    p_delivery_connection bigint[],
    p_delivery_message integer[],
    p_status_parcel bigint[],
    p_status text[])
RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    messages bigint[];
    before bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    PERFORM FROM delivery_lane l
    WHERE l.account_id = p_account AND l.connection_id = ANY (p_delivery_connection)
    ORDER BY l.connection_id FOR UPDATE;
    SELECT array_agg(numbered.id ORDER BY numbered.place) INTO messages
    FROM (SELECT place, nextval('message_message_id_seq') AS id
          FROM generate_series(1, cardinality(p_message_parcel)) AS place) AS numbered;
    INSERT INTO message (account_id, message_id, parcel_id, sequence, event_id, action, form, body)
    SELECT p_account, messages[m.place], m.parcel_id, m.sequence, m.event_id, m.action, m.form,
           m.body
    FROM unnest(p_message_parcel, p_message_sequence, p_message_event, p_message_action,
                p_message_form, p_message_body)
        WITH ORDINALITY AS m (parcel_id, sequence, event_id, action, form, body, place);
    UPDATE feed_head h SET feed_seq = h.feed_seq + cardinality(p_feed_parcel)
    WHERE h.account_id = p_account
    RETURNING h.feed_seq - cardinality(p_feed_parcel) INTO before;
    INSERT INTO feed_event (
        account_id, feed_seq, parcel_id, sequence, kind, recorded_at, message_id)
    SELECT p_account, before + f.place, f.parcel_id, f.sequence, f.kind, f.recorded_at,
           messages[nullif(f.message, 0)]
    FROM unnest(p_feed_parcel, p_feed_sequence, p_feed_kind, p_feed_recorded, p_feed_message)
        WITH ORDINALITY AS f (parcel_id, sequence, kind, recorded_at, message, place);
    PERFORM deliver_to(
        p_account, p_delivery_connection,
        ARRAY(SELECT messages[d.message]
              FROM unnest(p_delivery_message) WITH ORDINALITY AS d (message, place)
              ORDER BY d.place),
        ARRAY(SELECT p_message_parcel[d.message]
              FROM unnest(p_delivery_message) WITH ORDINALITY AS d (message, place)
              ORDER BY d.place));
    INSERT INTO told_status AS t (account_id, parcel_id, status)
    SELECT p_account, s.parcel_id, s.status
    FROM unnest(p_status_parcel, p_status) AS s (parcel_id, status)
    ON CONFLICT (account_id, parcel_id) DO UPDATE SET status = excluded.status;
    DELETE FROM outbox o WHERE o.account_id = p_account AND o.outbox_id = ANY (p_outbox);
    RETURN before;
END
$$;

-- Puts messages on their way, each to the connection at its place, in the order they are given. The
-- caller has locked the lanes. Only the first of a (connection, parcel) that is pending has a time.
CREATE FUNCTION deliver_to(
    p_account bigint, p_connections bigint[], p_messages bigint[], p_parcels bigint[])
RETURNS void
LANGUAGE plpgsql AS $$
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
               CASE WHEN w.nth > 1 OR EXISTS (
                   SELECT FROM delivery d
                   WHERE d.account_id = p_account AND d.connection_id = w.connection_id
                     AND d.parcel_id = w.parcel_id AND d.state = 'pending')
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
