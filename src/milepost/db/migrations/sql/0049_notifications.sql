-- Takes back all that was said of a parcel: messages, deliveries and what came back of them. In the
-- feed gravestones stay, so that its numbers have no gap. The caller holds the parcel's row, which
-- whoever tells of a parcel holds too. How many rows there were.
CREATE FUNCTION forget_told(p_account bigint, p_parcel bigint) RETURNS bigint
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
CREATE FUNCTION forget_old_told(p_account bigint, p_before timestamptz, p_most integer)
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

CREATE INDEX feed_event_message ON feed_event (account_id, message_id);

-- Makes the months of delivery_attempt from p_first on that are not there yet; how many. With its
-- owner's rights, for only the owner of a table may give it parts: it names no row and no account.
CREATE FUNCTION make_delivery_attempt_months(p_first date, p_months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
DECLARE
    starts date := date_trunc('month', p_first);
    made integer := 0;
    part text;
BEGIN
    FOR ahead IN 0..least(p_months, 24) - 1 LOOP
        part := 'delivery_attempt_' || to_char(starts + ahead * interval '1 month', 'YYYY_MM');
        IF to_regclass('public.' || part) IS NULL THEN
            BEGIN
                EXECUTE format(
                    'CREATE TABLE public.%I PARTITION OF public.delivery_attempt '
                    'FOR VALUES FROM (%L) TO (%L)',
                    part, (starts + ahead * interval '1 month')::timestamptz,
                    (starts + (ahead + 1) * interval '1 month')::timestamptz);
                made := made + 1;
            EXCEPTION
                -- Another worker was first, or the net holds attempts of that month already and
                -- keeps them until they are dropped with it.
                WHEN duplicate_table OR check_violation THEN NULL;
            END;
        END IF;
    END LOOP;
    RETURN made;
END
$$;

-- Drops the months of delivery_attempt that were over before p_before, and such attempts from the net;
-- how many parts went. With its owner's rights, as above.
CREATE FUNCTION drop_delivery_attempt_months(p_before timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
DECLARE
    part text;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.delivery_attempt'::regclass
          AND c.relname ~ '^delivery_attempt_[0-9]{4}_[0-9]{2}$'
          AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= p_before
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE public.%I', part);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM public.delivery_attempt_rest WHERE started_at < p_before;
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION make_delivery_attempt_months(date, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION drop_delivery_attempt_months(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_delivery_attempt_months(date, integer) TO milepost_worker, milepost_admin;
GRANT EXECUTE ON FUNCTION drop_delivery_attempt_months(timestamptz) TO milepost_worker, milepost_admin;
