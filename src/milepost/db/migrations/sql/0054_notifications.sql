-- What the instruments ask of telling. They walk over accounts, so they are called by the role that sees
-- every lane (milepost_admin), never by a request, and at most p_most rows far.

-- Lanes that deliver nothing are few, and asked for by themselves.
CREATE INDEX delivery_lane_shut ON delivery_lane (account_id, connection_id) WHERE state <> 'open';

-- How long the first delivery of a lane has been due (0: none is), by what it waits for: turn (for a
-- worker), busy (one is at it), resting (its subscriber fails, or has asked for it), paused, disabled.
CREATE FUNCTION delivery_ages(p_most integer)
RETURNS TABLE (waits_for text, due_seconds double precision)
LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
    connection bigint;
    due timestamptz;
BEGIN
    FOR account, connection, waits_for IN
        (SELECT l.account_id, l.connection_id,
                CASE WHEN l.lease_until > now() THEN 'busy'
                     WHEN l.rests_until > now() THEN 'resting' ELSE 'turn' END
         FROM delivery_lane l WHERE l.state = 'open' AND l.turn_at < 'infinity'
         ORDER BY l.turn_at LIMIT p_most)
        UNION ALL
        (SELECT l.account_id, l.connection_id, l.state FROM delivery_lane l
         WHERE l.state <> 'open' ORDER BY l.account_id, l.connection_id LIMIT p_most)
    LOOP
        PERFORM set_config('milepost.account_id', account::text, true);
        SELECT min(d.due_at) INTO due FROM delivery d
        WHERE d.account_id = account AND d.connection_id = connection AND d.state = 'pending';
        due_seconds := greatest(
            0, coalesce(extract(epoch FROM now() - nullif(due, 'infinity')), 0));
        RETURN NEXT;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION delivery_ages FROM PUBLIC;
GRANT EXECUTE ON FUNCTION delivery_ages TO milepost_admin;

-- How long the oldest row of the outbox has been there, in seconds (0: it is empty). Asked of those
-- accounts alone that have one: there may be more accounts than can be walked through, and the oldest
-- may be of the last.
CREATE POLICY admin_outbox ON outbox FOR SELECT TO milepost_admin USING (true);
CREATE OR REPLACE FUNCTION outbox_age(p_most integer) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
    first_at timestamptz;
    oldest timestamptz := now();
BEGIN
    FOR account IN SELECT waiting FROM outbox_accounts(0, p_most) AS waiting LOOP
        PERFORM set_config('milepost.account_id', account::text, true);
        SELECT o.recorded_at INTO first_at FROM outbox o
        WHERE o.account_id = account ORDER BY o.outbox_id LIMIT 1;
        oldest := least(oldest, first_at);
    END LOOP;
    RETURN extract(epoch FROM now() - oldest);
END
$$;
