-- Parcels that come from elsewhere with a past of their own. What register_parcels and
-- record_observation do is done by them; a past that was told elsewhere already is taken out of the
-- outbox again before anybody can see it there (p_quiet), and parcels whose journey is over elsewhere
-- (p_asleep: their places) are never due.
CREATE FUNCTION register_moved(
    p_account bigint,
    p_carriers text[],
    p_number_keys text[],
    p_source_ids text[],
    p_rows jsonb,
    p_now timestamptz,
    p_reusable_before timestamptz,
    p_urgency smallint,
    p_asleep integer[],
    p_quiet boolean)
RETURNS TABLE (place integer, parcel_id bigint, taken text, taken_by bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    -- Whatever goes into the outbox from here on has a greater id.
    told_before bigint := nextval('outbox_outbox_id_seq');
    one record;
    stored bigint[] := '{}';
    asleep bigint[] := '{}';
BEGIN
    FOR one IN
        SELECT r.place, r.parcel_id, r.taken, r.taken_by
        FROM register_parcels(p_account, p_carriers, p_number_keys, p_source_ids, p_rows, p_now,
                              p_reusable_before, p_urgency) AS r
    LOOP
        place := one.place;
        parcel_id := one.parcel_id;
        taken := one.taken;
        taken_by := one.taken_by;
        RETURN NEXT;
        IF one.taken = '' THEN
            stored := stored || one.parcel_id;
            IF one.place = ANY (p_asleep) THEN
                asleep := asleep || one.parcel_id;
            END IF;
        END IF;
    END LOOP;
    IF cardinality(asleep) > 0 THEN
        UPDATE watch w SET due_at = 'infinity'
        WHERE w.account_id = p_account AND w.parcel_id = ANY (asleep);
    END IF;
    IF p_quiet AND cardinality(stored) > 0 THEN
        DELETE FROM outbox o
        WHERE o.account_id = p_account AND o.outbox_id > told_before
          AND o.parcel_id = ANY (stored);
    END IF;
END
$$;

CREATE FUNCTION record_quietly(
    p_account bigint,
    p_parcel bigint,
    p_revision bigint,
    p_fence bigint,
    p_now timestamptz,
    p_state jsonb,
    p_v3_answer bytea,
    p_v2_answer bytea,
    p_new_events jsonb,
    p_revised_events jsonb,
    p_dropped integer[],
    p_told jsonb,
    p_watch jsonb,
    p_deadline timestamptz,
    p_timing jsonb,
    p_raw bytea,
    p_raw_type text)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    told_before bigint := nextval('outbox_outbox_id_seq');
BEGIN
    IF NOT record_observation(
        p_account, p_parcel, p_revision, p_fence, p_now, p_state, p_v3_answer, p_v2_answer,
        p_new_events, p_revised_events, p_dropped, p_told, p_watch, p_deadline, p_timing, p_raw,
        p_raw_type)
    THEN
        RETURN false;
    END IF;
    -- The parcel's row is locked, so what is there about it beyond that id is of this record alone.
    DELETE FROM outbox o
    WHERE o.account_id = p_account AND o.outbox_id > told_before AND o.parcel_id = p_parcel;
    RETURN true;
END
$$;
