-- What an account's feed tells beyond p_after, at most p_most of it in its order, beside the feed's
-- bounds; the bounds alone where there is nothing, no row where nothing was ever told. One statement,
-- so that what is forgotten meanwhile is there as a whole or not at all.
CREATE FUNCTION read_feed(p_account bigint, p_after bigint, p_most integer)
RETURNS TABLE (
    head bigint, kept_from bigint, feed_seq bigint, kind text, parcel_id bigint, sequence integer,
    recorded_at timestamptz, event_id text, body bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT h.feed_seq, h.kept_from, told.feed_seq, told.kind, told.parcel_id, told.sequence,
           told.recorded_at, told.event_id, told.body
    FROM feed_head h
    LEFT JOIN LATERAL (
        SELECT f.feed_seq, f.kind, f.parcel_id, f.sequence, f.recorded_at, m.event_id, m.body
        FROM feed_event f
        LEFT JOIN message m ON m.account_id = p_account AND m.message_id = f.message_id
        WHERE f.account_id = p_account AND f.feed_seq > p_after
        ORDER BY f.feed_seq LIMIT p_most
    ) AS told ON true
    WHERE h.account_id = p_account
    ORDER BY told.feed_seq;
END
$$;

-- The last number of each of these accounts' feeds, for a process whose readers wait for the next
-- ones: one look into a narrow table for each, under that account's own rights.
CREATE FUNCTION feed_heads(p_accounts bigint[])
RETURNS TABLE (account_id bigint, feed_seq bigint)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    one bigint;
BEGIN
    FOREACH one IN ARRAY p_accounts LOOP
        PERFORM set_config('milepost.account_id', one::text, true);
        RETURN QUERY SELECT h.account_id, h.feed_seq FROM feed_head h WHERE h.account_id = one;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION feed_heads(bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION feed_heads(bigint[]) TO milepost_app, milepost_admin;
