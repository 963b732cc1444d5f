-- Many parcels' records in one statement, for who brings many at once. Each is done as
-- record_observation does it, or record_quietly (p_quiet): one whose parcel changed since it was read
-- is left out, and the others stand. Gives the parcels that were written.
CREATE FUNCTION record_many(
    p_account bigint,
    p_now timestamptz,
    p_quiet boolean,
    p_parcels bigint[],
    p_revisions bigint[],
    p_columns jsonb[],
    p_v3_answers bytea[],
    p_v2_answers bytea[])
RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
DECLARE
    one record;
    written boolean;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    FOR one IN
        SELECT g.parcel_id, g.revision, g.v3, g.v2, c.*
        FROM unnest(p_parcels, p_revisions, p_columns, p_v3_answers, p_v2_answers)
                 AS g (parcel_id, revision, given, v3, v2)
        CROSS JOIN LATERAL jsonb_to_record(g.given) AS c (
            state jsonb, new jsonb, revised jsonb, dropped integer[], told jsonb, watch jsonb,
            deadline timestamptz, timing jsonb)
        -- Two who record the same parcels wait for each other once, and not each for the other.
        -- Those that plan a deadline, and may hold their lane for it, come last.
        ORDER BY c.deadline IS NOT NULL, g.parcel_id
    LOOP
        IF p_quiet THEN
            written := record_quietly(
                p_account, one.parcel_id, one.revision, NULL, p_now, one.state, one.v3, one.v2,
                one.new, one.revised, one.dropped, one.told, one.watch, one.deadline, one.timing,
                NULL, NULL);
        ELSE
            written := record_observation(
                p_account, one.parcel_id, one.revision, NULL, p_now, one.state, one.v3, one.v2,
                one.new, one.revised, one.dropped, one.told, one.watch, one.deadline, one.timing,
                NULL, NULL);
        END IF;
        IF written THEN
            RETURN NEXT one.parcel_id;
        END IF;
    END LOOP;
END
$$;
