-- How asking each carrier went, by hour: outcomes of checks, new events, those that no rule maps, and
-- how late they came (one count for each of the ten steps in parcels/carrier_hours.py). 25 rows per account and
-- carrier, one for each hour of the last day, written over when their hour comes again.
CREATE TABLE carrier_hour (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    slot smallint NOT NULL,
    hour timestamptz NOT NULL,
    found bigint NOT NULL,
    not_found bigint NOT NULL,
    refused bigint NOT NULL,
    broken bigint NOT NULL,
    events bigint NOT NULL,
    unmapped bigint NOT NULL,
    lags bigint[] NOT NULL,
    PRIMARY KEY (account_id, carrier_code, slot)
) WITH (fillfactor = 80);
ALTER TABLE carrier_hour ENABLE ROW LEVEL SECURITY;
ALTER TABLE carrier_hour FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON carrier_hour USING
    (account_id = nullif(current_setting('milepost.account_id', true), '')::bigint);
-- The operator sees how a carrier does for all.
CREATE POLICY admin_carrier_hour ON carrier_hour FOR SELECT TO milepost_admin USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON carrier_hour TO milepost_app, milepost_worker, milepost_admin;

-- Adds what one process counted for an account; an older hour than the one that is kept is too late.
CREATE FUNCTION keep_carrier_hours(p_account bigint, p_rows jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    INSERT INTO carrier_hour AS h (account_id, carrier_code, slot, hour, found, not_found, refused,
                                   broken, events, unmapped, lags)
    SELECT p_account, r.carrier_code, (extract(epoch FROM r.hour) / 3600)::bigint % 25, r.hour,
           r.found, r.not_found, r.refused, r.broken, r.events, r.unmapped, r.lags
    FROM jsonb_to_recordset(p_rows) AS r (
        carrier_code text, hour timestamptz, found bigint, not_found bigint, refused bigint,
        broken bigint, events bigint, unmapped bigint, lags bigint[])
    ORDER BY r.carrier_code, r.hour
    ON CONFLICT (account_id, carrier_code, slot) DO UPDATE
    SET hour = excluded.hour,
        found = excluded.found + CASE WHEN h.hour = excluded.hour THEN h.found ELSE 0 END,
        not_found = excluded.not_found
            + CASE WHEN h.hour = excluded.hour THEN h.not_found ELSE 0 END,
        refused = excluded.refused + CASE WHEN h.hour = excluded.hour THEN h.refused ELSE 0 END,
        broken = excluded.broken + CASE WHEN h.hour = excluded.hour THEN h.broken ELSE 0 END,
        events = excluded.events + CASE WHEN h.hour = excluded.hour THEN h.events ELSE 0 END,
        unmapped = excluded.unmapped + CASE WHEN h.hour = excluded.hour THEN h.unmapped ELSE 0 END,
        lags = CASE WHEN h.hour = excluded.hour THEN ARRAY[
            h.lags[1] + excluded.lags[1], h.lags[2] + excluded.lags[2],
            h.lags[3] + excluded.lags[3], h.lags[4] + excluded.lags[4],
            h.lags[5] + excluded.lags[5], h.lags[6] + excluded.lags[6],
            h.lags[7] + excluded.lags[7], h.lags[8] + excluded.lags[8],
            h.lags[9] + excluded.lags[9], h.lags[10] + excluded.lags[10]
        ] ELSE excluded.lags END
    WHERE h.hour <= excluded.hour;
END
$$;
