-- While an account is suspended its carriers are not asked and its subscribers are not told. Workers
-- see which accounts are: their ids, and nothing of other accounts.
CREATE INDEX account_suspended ON account (account_id) WHERE status = 'suspended';
CREATE POLICY worker_suspended ON account FOR SELECT TO milepost_worker USING (status = 'suspended');

-- How long the first delivery of a lane has been due (0: none is), by what it waits for: suspended (its
-- account is), turn (for a worker), busy (one is at it), resting (its subscriber fails, or has asked for
-- it), paused, disabled.
CREATE OR REPLACE FUNCTION delivery_ages(p_most integer)
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
        IF EXISTS (SELECT FROM account a WHERE a.account_id = account AND a.status = 'suspended') THEN
            waits_for := 'suspended';
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

-- What failed is asked for by itself (the exception logs of integrations), and is little.
CREATE INDEX delivery_attempt_failed
ON delivery_attempt (account_id, connection_id, started_at DESC) WHERE outcome <> 'delivered';
