-- What the instruments ask. Both functions walk over accounts, so they are called by roles that see
-- every lane and every account (milepost_admin), never by a request, and at most p_most rows far.

-- How long the first parcel of a lane has been due (0: none is), whatever the lane waits for. Open
-- lanes come first whose turn is next; a lane that is closed has no turn.
CREATE FUNCTION lane_ages(p_most integer)
RETURNS TABLE (
    account_id bigint, carrier_code text, state text, paused boolean, due_seconds double precision
)
LANGUAGE plpgsql AS $$
BEGIN
    FOR account_id, carrier_code, state, paused IN
        (SELECT l.account_id, l.carrier_code, l.state, coalesce(l.paused_until > now(), false)
         FROM lane l WHERE l.state = 'open' ORDER BY l.turn_at LIMIT p_most)
        UNION ALL
        (SELECT l.account_id, l.carrier_code, l.state, true
         FROM lane l WHERE l.state <> 'open' ORDER BY l.account_id, l.carrier_code LIMIT p_most)
    LOOP
        due_seconds := greatest(0, coalesce(extract(
            epoch FROM now() - nullif(earliest_due(account_id, carrier_code), 'infinity')), 0));
        RETURN NEXT;
    END LOOP;
END
$$;

-- How long the oldest row of the outbox has been there, in seconds (0: it is empty).
CREATE FUNCTION outbox_age(p_most integer) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
    first_at timestamptz;
    oldest timestamptz := now();
BEGIN
    FOR account IN SELECT a.account_id FROM account a ORDER BY a.account_id LIMIT p_most LOOP
        PERFORM set_config('milepost.account_id', account::text, true);
        SELECT o.recorded_at INTO first_at FROM outbox o
        WHERE o.account_id = account ORDER BY o.outbox_id LIMIT 1;
        oldest := least(oldest, first_at);
    END LOOP;
    RETURN extract(epoch FROM now() - oldest);
END
$$;

REVOKE EXECUTE ON FUNCTION lane_ages, outbox_age FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lane_ages, outbox_age TO milepost_admin;

-- Codes of carriers that no rule maps, and how often they came: the inbox of whoever maps them. A
-- code is the carrier's word for a kind of scan; what a scan says about a parcel is not kept here.
-- Platform table: no account.
CREATE TABLE unmapped_code (
    carrier_code text NOT NULL COLLATE "C",
    raw_code text NOT NULL COLLATE "C",
    seen bigint NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (carrier_code, raw_code)
);
GRANT SELECT, INSERT, UPDATE ON unmapped_code TO milepost_app, milepost_worker, milepost_admin;
GRANT DELETE ON unmapped_code TO milepost_admin;
