-- While somebody holds a snapshot open no version of a row that was written over can be removed, and
-- whoever looks for the row by its key goes through all of them, the oldest first. The row of a quota
-- is written with every question: after three minutes of 90 a second a call cost 3.3 ms of CPU in
-- place of 0.4, for it looked three times. Now it looks once, and begins with the newest version: an
-- index holds equal keys in the order in which their rows lie, and new versions mostly lie behind the
-- old ones. A key that is given by its bounds is read from its end; given by "=" it would not be.
-- What is found and locked is written where it lies, and not looked for again.
CREATE OR REPLACE FUNCTION take_slots(
    p_carrier text, p_owner text, p_spacing interval, p_horizon interval, p_most integer,
    p_probe bigint, p_probe_lease interval,
    OUT granted integer, OUT start_at timestamptz, OUT wait interval, OUT clock timestamptz,
    OUT why text, OUT probe bigint, OUT troubled boolean
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    budget record;
BEGIN
    FOR turn IN 1..2 LOOP
        SELECT b.ctid AS place, b.* INTO budget FROM carrier_budget b
        WHERE b.carrier_code = p_carrier AND b.owner >= p_owner AND b.owner <= p_owner
        ORDER BY b.owner DESC LIMIT 1 FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO carrier_budget (carrier_code, owner) VALUES (p_carrier, p_owner)
        ON CONFLICT (carrier_code, owner) DO NOTHING;
    END LOOP;
    -- The row may have been waited for: the clock is read after the lock.
    clock := clock_timestamp();
    granted := 0;
    why := '';
    troubled := budget.open_until IS NOT NULL OR budget.faults > 0
                OR budget.window_at > clock - interval '60 s';
    start_at := greatest(budget.next_slot_at, budget.paused_until, clock);
    wait := start_at - clock;
    IF EXISTS (SELECT FROM carrier_pause p WHERE p.carrier_code = p_carrier) THEN
        why := 'paused';
        wait := greatest(wait, interval '300 s');
    ELSIF budget.open_until > clock THEN
        why := 'open';
        wait := greatest(wait, budget.open_until - clock);
    ELSIF budget.open_until IS NOT NULL AND budget.probe_until > clock
          AND budget.probe IS DISTINCT FROM p_probe THEN
        why := 'open';
        wait := greatest(wait, least(budget.probe_until - clock, interval '5 s'));
    ELSIF wait > p_horizon THEN
        why := 'quota';
    ELSE
        granted := CASE
            WHEN budget.open_until IS NOT NULL THEN 1
            WHEN p_spacing <= interval '0' THEN p_most
            ELSE least(p_most, 1 + floor(
                extract(epoch FROM p_horizon - wait) / extract(epoch FROM p_spacing))::integer)
        END;
        IF budget.open_until IS NOT NULL THEN
            probe := CASE WHEN budget.probe = p_probe THEN p_probe ELSE budget.probe + 1 END;
        END IF;
        UPDATE carrier_budget b SET
            next_slot_at = CASE WHEN p_spacing <= interval '0' THEN b.next_slot_at
                                ELSE take_slots.start_at + take_slots.granted * p_spacing END,
            probe = coalesce(take_slots.probe, b.probe),
            probe_until = CASE WHEN take_slots.probe IS NULL THEN b.probe_until
                               ELSE take_slots.clock + p_probe_lease END
        WHERE b.ctid = budget.place AND b.carrier_code = p_carrier AND b.owner = p_owner
          AND (p_spacing > interval '0' OR take_slots.probe IS NOT NULL);
    END IF;
END
$$;

-- As above: for every turn in which not all slots were used.
CREATE OR REPLACE FUNCTION return_carrier_slots(
    p_carrier text, p_owner text, p_spacing interval, p_start_at timestamptz, p_granted integer,
    p_unused integer
) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    budget record;
BEGIN
    SELECT b.ctid AS place, b.next_slot_at INTO budget FROM carrier_budget b
    WHERE b.carrier_code = p_carrier AND b.owner >= p_owner AND b.owner <= p_owner
    ORDER BY b.owner DESC LIMIT 1 FOR UPDATE;
    IF budget.next_slot_at = p_start_at + p_granted * p_spacing THEN
        UPDATE carrier_budget b SET next_slot_at = p_start_at + (p_granted - p_unused) * p_spacing
        WHERE b.ctid = budget.place AND b.carrier_code = p_carrier AND b.owner = p_owner;
    END IF;
END
$$;
