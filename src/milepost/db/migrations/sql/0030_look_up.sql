-- What a look-up answers: the one form that was asked for, of many numbers at once. read_answers,
-- which sends both, is still called by the version before.
CREATE FUNCTION look_up(p_account bigint, p_form text, p_number_keys text[])
RETURNS TABLE (place bigint, parcel_id bigint, render_epoch bigint, etag text, answer bytea)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT wanted.place, p.parcel_id, p.render_epoch, p.etag,
        CASE p_form WHEN 'v2' THEN p.v2_answer ELSE p.v3_answer END
    FROM unnest(p_number_keys) WITH ORDINALITY AS wanted (number_key, place)
    CROSS JOIN LATERAL (
        SELECT n.parcel_id FROM tracked_number n
        WHERE n.account_id = p_account AND n.number_key = wanted.number_key
        ORDER BY n.parcel_id DESC LIMIT 1
    ) AS newest
    JOIN parcel p ON p.account_id = p_account AND p.parcel_id = newest.parcel_id;
END
$$;
