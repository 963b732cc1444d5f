-- Stored events that are read once more. What record_observation does is done by it, and told to
-- nobody where p_quiet says so. A plan here is no check: it only takes the place of the schedule's,
-- and whoever asks about the parcel at that moment must not write its own plan over it.
CREATE FUNCTION record_rereading(
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
    p_raw_type text,
    p_quiet boolean)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    written boolean;
    due timestamptz := now() + (p_watch ->> 'due_in')::double precision * interval '1 s';
BEGIN
    IF p_quiet THEN
        written := record_quietly(
            p_account, p_parcel, p_revision, p_fence, p_now, p_state, p_v3_answer, p_v2_answer,
            p_new_events, p_revised_events, p_dropped, p_told, NULL, p_deadline, p_timing, p_raw,
            p_raw_type);
    ELSE
        written := record_observation(
            p_account, p_parcel, p_revision, p_fence, p_now, p_state, p_v3_answer, p_v2_answer,
            p_new_events, p_revised_events, p_dropped, p_told, NULL, p_deadline, p_timing, p_raw,
            p_raw_type);
    END IF;
    IF NOT written OR p_watch IS NULL THEN
        RETURN written;
    END IF;
    UPDATE watch SET
        urgency = (p_watch ->> 'urgency')::smallint, due_at = coalesce(due, 'infinity'),
        fence = fence + 1, lease_until = NULL, misses = 0, answer_hash = NULL
    WHERE account_id = p_account AND parcel_id = p_parcel;
    IF due IS NOT NULL THEN
        PERFORM plan_lane(p_account, p_watch ->> 'carrier_code', due);
    END IF;
    RETURN true;
END
$$;
