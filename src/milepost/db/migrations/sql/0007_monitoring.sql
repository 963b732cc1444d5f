-- Work that one process does for all of them, now and then: who has it in hand and until when, and
-- how it last ended. Platform table: no account.
CREATE TABLE job (
    name text PRIMARY KEY COLLATE "C",
    holder text NOT NULL,
    lease_until timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome jsonb
);
GRANT SELECT, INSERT, UPDATE ON job TO milepost_app, milepost_worker, milepost_admin;

-- The breaker of a carrier and credential, beside its quota: closed while open_until is null, open
-- until then, half open afterwards, when one probe at a time may ask.
ALTER TABLE carrier_budget
    ADD COLUMN faults integer NOT NULL DEFAULT 0,
    ADD COLUMN window_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN window_asked integer NOT NULL DEFAULT 0,
    ADD COLUMN window_failed integer NOT NULL DEFAULT 0,
    ADD COLUMN opened integer NOT NULL DEFAULT 0,
    ADD COLUMN open_until timestamptz,
    ADD COLUMN probe bigint NOT NULL DEFAULT 0,
    ADD COLUMN probe_until timestamptz;

-- Carriers the operator wants nobody to ask.
CREATE TABLE carrier_pause (
    carrier_code text PRIMARY KEY COLLATE "C",
    paused_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON carrier_pause TO milepost_app, milepost_worker, milepost_admin;
GRANT INSERT, DELETE ON carrier_pause TO milepost_admin;

-- Hands out up to p_most start times towards a carrier with one credential, p_spacing apart, that
-- lie within p_horizon; none granted: why ('paused', 'open' or 'quota') and how long to stay away.
-- All by this clock, which is told too. With a half-open breaker the first to come gets one slot and
-- the number of its probe, good for p_probe_lease; who holds the probe (p_probe) goes on. troubled:
-- answers are counted now. take_carrier_slots serves the version before this one.
CREATE FUNCTION take_slots(
    p_carrier text, p_owner text, p_spacing interval, p_horizon interval, p_most integer,
    p_probe bigint, p_probe_lease interval,
    OUT granted integer, OUT start_at timestamptz, OUT wait interval, OUT clock timestamptz,
    OUT why text, OUT probe bigint, OUT troubled boolean
)
LANGUAGE plpgsql AS $$
DECLARE
    budget carrier_budget%ROWTYPE;
BEGIN
    INSERT INTO carrier_budget (carrier_code, owner) VALUES (p_carrier, p_owner)
    ON CONFLICT (carrier_code, owner) DO NOTHING;
    SELECT * INTO budget FROM carrier_budget b
    WHERE b.carrier_code = p_carrier AND b.owner = p_owner FOR UPDATE;
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
        WHERE b.carrier_code = p_carrier AND b.owner = p_owner
          AND (p_spacing > interval '0' OR take_slots.probe IS NOT NULL);
    END IF;
END
$$;

-- Counts what came of asking, and opens or closes the breaker: p_most_faults in a row, or half of
-- 20 or more within a minute, open it for p_rest, twice as long each time, p_longest at most. While
-- it is open the probe alone decides; one that asked nobody (0, 0) leaves its place to another.
CREATE FUNCTION count_answers(
    p_carrier text, p_owner text, p_answered integer, p_failed integer, p_probe bigint,
    p_most_faults integer, p_rest interval, p_longest interval,
    OUT is_open boolean, OUT changed boolean, OUT wait interval
)
LANGUAGE plpgsql AS $$
DECLARE
    budget carrier_budget%ROWTYPE;
    clock timestamptz;
BEGIN
    SELECT * INTO budget FROM carrier_budget b
    WHERE b.carrier_code = p_carrier AND b.owner = p_owner FOR UPDATE;
    clock := clock_timestamp();
    changed := false;
    IF budget.open_until IS NULL THEN
        IF budget.window_at <= clock - interval '60 s' THEN
            budget.window_at := clock;
            budget.window_asked := 0;
            budget.window_failed := 0;
        END IF;
        budget.window_asked := budget.window_asked + p_answered + p_failed;
        budget.window_failed := budget.window_failed + p_failed;
        budget.faults := CASE WHEN p_answered > 0 THEN 0 ELSE budget.faults + p_failed END;
        changed := budget.faults >= p_most_faults OR (
            budget.window_asked >= 20 AND budget.window_failed * 2 >= budget.window_asked);
        IF changed THEN
            budget.opened := 1;
            budget.open_until := clock + p_rest;
        END IF;
    ELSIF budget.probe = p_probe AND budget.probe_until IS NOT NULL THEN
        budget.probe_until := NULL;
        IF p_answered > 0 THEN
            changed := true;
            budget.open_until := NULL;
            budget.opened := 0;
            budget.faults := 0;
            budget.window_at := '-infinity';
        ELSIF p_failed > 0 THEN
            budget.open_until := clock + least(p_rest * 2 ^ least(budget.opened, 20), p_longest);
            budget.opened := budget.opened + 1;
        END IF;
    END IF;
    is_open := budget.open_until IS NOT NULL;
    wait := greatest(budget.open_until - clock, interval '1 s');
    UPDATE carrier_budget b SET
        faults = budget.faults, window_at = budget.window_at, window_asked = budget.window_asked,
        window_failed = budget.window_failed, opened = budget.opened,
        open_until = budget.open_until, probe_until = budget.probe_until
    WHERE b.carrier_code = p_carrier AND b.owner = p_owner;
END
$$;

-- Lets a lane rest for p_wait or as long as it does anyway; its state stays, and so does a closed one.
CREATE FUNCTION rest_lane(p_account bigint, p_carrier text, p_wait interval) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    UPDATE lane SET paused_until = greatest(paused_until, now() + p_wait),
                    turn_at = greatest(paused_until, now() + p_wait)
    WHERE account_id = p_account AND carrier_code = p_carrier
      AND state IN ('open', 'credential_refused');
END
$$;

-- Closes a lane as pause_lane does, because of the account's own login whose sealed form has this
-- digest (null: because it has none). Changes nothing where another is stored by now: whoever set it
-- has woken the lane, and did so before or does so after us.
CREATE FUNCTION pause_lane(
    p_account bigint, p_carrier text, p_state text, p_wait interval, p_login_carrier text,
    p_own_login bytea
) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    stored bytea;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    PERFORM 1 FROM lane l
    WHERE l.account_id = p_account AND l.carrier_code = p_carrier FOR UPDATE;
    -- Read with the lane in hand, in a statement of its own: that sees what was committed while the
    -- lane was waited for.
    SELECT sha256(c.sealed) INTO stored FROM carrier_credential c
    WHERE c.account_id = p_account AND c.carrier_code = p_login_carrier;
    IF stored IS DISTINCT FROM p_own_login THEN
        RETURN false;
    END IF;
    RETURN pause_lane(p_account, p_carrier, p_state, p_wait);
END
$$;

-- Begins the leases anew of what is still held under these fences, and says which parcels that are.
CREATE FUNCTION renew_leases(
    p_account bigint, p_parcels bigint[], p_fences bigint[], p_lease interval
) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    UPDATE watch w SET lease_until = now() + p_lease, due_at = now() + p_lease
    FROM unnest(p_parcels, p_fences) AS held (parcel_id, fence)
    WHERE w.account_id = p_account AND w.parcel_id = held.parcel_id AND w.fence = held.fence
      AND w.lease_until IS NOT NULL
    RETURNING w.parcel_id;
END
$$;

-- Brings forward the turns of one account's lanes where a row is due before it.
CREATE FUNCTION repair_lanes(p_account bigint, p_carriers text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    carrier text;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    FOREACH carrier IN ARRAY p_carriers LOOP
        PERFORM repair_lane(p_account, carrier);
    END LOOP;
END
$$;
