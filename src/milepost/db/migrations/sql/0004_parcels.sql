-- Many registrations in one statement, what changed a parcel, and what is left of an erased one.

-- Which parcel a kept answer tells about, so that it can be forgotten with it. First of all, for a
-- registration under a key locks this table and then parcel: the other way round we would wait for
-- each other.
ALTER TABLE idempotency_key ADD COLUMN parcel_id bigint;

-- The words a parcel is found by, written at registration and when it is changed. A parcel that the
-- version before registered has no row until the backfill has come to it.
CREATE TABLE parcel_search (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (account_id, parcel_id),
    FOREIGN KEY (account_id, parcel_id) REFERENCES parcel (account_id, parcel_id)
);
-- Every word begins with its account, so this index is read for one account only.
CREATE INDEX parcel_search_words ON parcel_search USING gin (words);

-- Who changed what. `detail` names fields and reasons, and never holds a person's data.
CREATE TABLE audit (
    account_id bigint NOT NULL,
    audit_id bigserial,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL COLLATE "C",
    action text NOT NULL COLLATE "C",
    parcel_id bigint,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (account_id, audit_id)
);
CREATE INDEX audit_parcel ON audit (account_id, parcel_id, audit_id);

-- The receipt of an erased parcel: how many rows of what are gone, and at whose word.
CREATE TABLE erasure (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    erased_at timestamptz NOT NULL,
    actor text NOT NULL COLLATE "C",
    counts jsonb NOT NULL,
    PRIMARY KEY (account_id, parcel_id)
);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['parcel_search', 'audit', 'erasure'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format(
            'CREATE POLICY own_account ON %I USING '
            '(account_id = nullif(current_setting(''milepost.account_id'', true), '''')::bigint)',
            tenant_table
        );
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO milepost_app, milepost_worker, milepost_admin',
            tenant_table
        );
    END LOOP;
END
$$;
-- What happened stays as it was written down.
REVOKE UPDATE, DELETE ON audit, erasure FROM milepost_app, milepost_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO milepost_app, milepost_worker, milepost_admin;

-- Who has the names of rows, by place (from 1), and whether that parcel was over before
-- p_reusable_before, so that it may be retired.
CREATE FUNCTION holders_of(
    p_account bigint, p_places integer[], p_carriers text[], p_number_keys text[],
    p_source_ids text[], p_reusable_before timestamptz
) RETURNS TABLE (place integer, parcel_id bigint, name text, is_over boolean)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    RETURN QUERY
    SELECT w.place, h.parcel_id, h.name, coalesce(p.over_since < p_reusable_before, false)
    FROM unnest(p_places) AS w (place)
    CROSS JOIN LATERAL (
        (SELECT n.parcel_id, 'tracking_number' AS name FROM tracked_number n
         WHERE n.account_id = p_account AND n.carrier_code = p_carriers[w.place]
           AND n.number_key = p_number_keys[w.place] AND n.kind = 'number' AND n.is_current
         LIMIT 1)
        UNION ALL
        (SELECT s.parcel_id, 'source_id' FROM parcel s
         WHERE s.account_id = p_account AND s.is_current AND s.source_id <> ''
           AND s.source_id = p_source_ids[w.place]
         LIMIT 1)
    ) AS h
    CROSS JOIN LATERAL (
        SELECT coalesce(p.ended_at, p.stopped_at) AS over_since FROM parcel p
        WHERE p.account_id = p_account AND p.parcel_id = h.parcel_id
        LIMIT 1
    ) AS p;
END
$$;

-- Takes their names from parcels that were over before p_reusable_before; which ones those were.
CREATE FUNCTION retire_parcels(
    p_account bigint, p_parcels bigint[], p_reusable_before timestamptz
) RETURNS bigint[]
LANGUAGE plpgsql
AS $$
DECLARE
    retired bigint[];
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    retired := ARRAY(
        SELECT p.parcel_id FROM parcel p
        WHERE p.account_id = p_account AND p.parcel_id = ANY (p_parcels) AND p.is_current
          AND coalesce(p.ended_at, p.stopped_at) < p_reusable_before
        ORDER BY p.parcel_id FOR UPDATE);
    UPDATE parcel p SET is_current = false, revision = p.revision + 1
    WHERE p.account_id = p_account AND p.parcel_id = ANY (retired);
    UPDATE tracked_number n SET is_current = false
    WHERE n.account_id = p_account AND n.parcel_id = ANY (retired);
    RETURN retired;
END
$$;

-- Registers parcels, each with its first event, its schedule, its words and its outbox row. One row
-- of the result for each given one, by its place (from 1): the new parcel's id, or which of its two
-- names is taken and by whom. A name is free again where its parcel was over before
-- p_reusable_before; that parcel is retired. Rows of one call stand in each other's way like calls
-- one after the other would: a taken row takes nothing.
--
-- Nobody is in the way of most rows, so they are stored first, and looked into where that failed.
--
-- register_parcel (0003) serves the version before, which runs beside us during an upgrade.
CREATE FUNCTION register_parcels(
    p_account bigint, p_carriers text[], p_number_keys text[], p_source_ids text[], p_rows jsonb,
    p_now timestamptz, p_reusable_before timestamptz, p_urgency smallint
) RETURNS TABLE (place integer, parcel_id bigint, taken text, taken_by bigint)
LANGUAGE plpgsql
-- Planned once, and so that the plan also fits when the tables have grown since: planning costs as
-- much as registering one parcel.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    -- 1 to the number of rows: unlike a SELECT, an expression of functions alone costs nothing.
    waiting integer[] := array_positions(array_fill(0, ARRAY[cardinality(p_carriers)]), 0);
    tried integer[];
    stored integer[];
    stored_ids bigint[];
    unnamed bigint[];
    holder record;
    refused integer[];
    over_places integer[] := '{}';
    over bigint[] := '{}';
    freed bigint[];
    carriers text[];
    carrier text;
    lanes text[] := '{}';
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    WHILE cardinality(waiting) > 0 LOOP
        -- 1. Of rows that name the same, the first; the others see next time what became of it.
        tried := waiting;
        IF cardinality(waiting) > 1 THEN
            tried := ARRAY(
                SELECT f.place FROM (
                    SELECT w.place,
                           row_number() OVER (
                               PARTITION BY p_carriers[w.place], p_number_keys[w.place]
                               ORDER BY w.place) AS of_number,
                           row_number() OVER (
                               PARTITION BY p_source_ids[w.place] ORDER BY w.place) AS of_source,
                           p_source_ids[w.place] AS source_id
                    FROM unnest(waiting) AS w (place)
                ) AS f
                WHERE f.of_number = 1 AND (f.of_source = 1 OR f.source_id = '')
                ORDER BY f.place);
        END IF;

        -- 2. Parcels that have been over for long enough give up their names.
        IF cardinality(over) > 0 THEN
            freed := retire_parcels(p_account, ARRAY(
                SELECT o.parcel_id FROM unnest(over_places, over) AS o (place, parcel_id)
                WHERE o.place = ANY (tried)
            ), p_reusable_before);
        END IF;

        -- 3. Take their names, in one order by everybody, so that two batches of the same parcels
        -- wait for each other once, and not each for the other.
        WITH given AS MATERIALIZED (
            SELECT t.place, nextval('parcel_parcel_id_seq') AS new_id,
                   p_rows -> (t.place - 1) AS given
            FROM unnest(tried) AS t (place)
        ), registered AS (
            INSERT INTO parcel (
                account_id, parcel_id, carrier_code, tracking_number, source_id, request,
                announced_at, created_at, updated_at, phase, exception, status_type, sub_status,
                status, status_at, event_count)
            SELECT p_account, g.new_id, p_carriers[g.place], g.given ->> 'tracking_number',
                   p_source_ids[g.place], g.given -> 'request',
                   (g.given ->> 'announced_at')::timestamptz, p_now, p_now,
                   g.given ->> 'phase', g.given ->> 'exception', g.given ->> 'status_type',
                   g.given ->> 'sub_status', g.given ->> 'status',
                   (g.given ->> 'status_at')::timestamptz, 1
            FROM given g ORDER BY p_source_ids[g.place], g.place
            ON CONFLICT DO NOTHING RETURNING parcel_id
        ), numbered AS (
            INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
            SELECT p_account, g.new_id, p_carriers[g.place], p_number_keys[g.place], 'number'
            FROM registered r JOIN given g ON g.new_id = r.parcel_id
            ORDER BY p_carriers[g.place], p_number_keys[g.place]
            ON CONFLICT DO NOTHING RETURNING parcel_id
        )
        SELECT array_agg(g.place) FILTER (WHERE n.parcel_id IS NOT NULL),
               array_agg(n.parcel_id) FILTER (WHERE n.parcel_id IS NOT NULL),
               array_agg(r.parcel_id) FILTER (WHERE n.parcel_id IS NULL)
        INTO stored, stored_ids, unnamed
        FROM given g
        LEFT JOIN registered r ON r.parcel_id = g.new_id
        LEFT JOIN numbered n ON n.parcel_id = g.new_id;

        -- 4. The rest of those that got them.
        IF stored IS NOT NULL THEN
            WITH given AS MATERIALIZED (
                SELECT s.place, s.new_id, p_rows -> (s.place - 1) AS given
                FROM unnest(stored, stored_ids) AS s (place, new_id)
            ), aliased AS (
                INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
                SELECT p_account, g.new_id, p_carriers[g.place], g.given ->> 'identifier_key',
                       'identifier'
                FROM given g
                WHERE g.given ->> 'identifier_key' NOT IN ('', p_number_keys[g.place])
            ), first_event AS (
                INSERT INTO event (
                    account_id, parcel_id, sequence, event_key, event_type, carrier_code, raw_code,
                    mapping_version, fact, recorded_at)
                SELECT p_account, g.new_id, 1, g.given ->> 'event_key', g.given ->> 'event_type',
                       g.given ->> 'event_carrier', g.given ->> 'raw_code',
                       (g.given ->> 'mapping_version')::integer, g.given -> 'fact', p_now
                FROM given g
            ), told AS (
                INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)
                SELECT p_account, g.new_id, 1, 'event', p_now FROM given g
            ), watched AS (
                INSERT INTO watch (
                    account_id, carrier_code, parcel_id, urgency, due_at, next_deadline_at)
                SELECT p_account, p_carriers[g.place], g.new_id, p_urgency, now(),
                       (g.given ->> 'next_deadline_at')::timestamptz
                FROM given g
            ), found_by AS (
                INSERT INTO parcel_search (account_id, parcel_id, words)
                SELECT p_account, g.new_id, array_to_tsvector(
                           ARRAY(SELECT jsonb_array_elements_text(g.given -> 'words')))
                FROM given g
            )
            SELECT array_agg(DISTINCT p_carriers[g.place]) INTO carriers FROM given g;
            lanes := lanes || carriers;
            FOR nth IN 1 .. cardinality(stored) LOOP
                place := stored[nth];
                parcel_id := stored_ids[nth];
                taken := '';
                taken_by := NULL;
                RETURN NEXT;
            END LOOP;
            EXIT WHEN cardinality(stored) = cardinality(waiting);
            waiting := ARRAY(
                SELECT w.place FROM unnest(waiting) AS w (place)
                WHERE w.place <> ALL (stored) ORDER BY w.place);
        END IF;

        -- 5. A row that got one name of two gives it back. One whose names were freed for it has
        -- lost them to somebody faster; its freeing would have to be undone too, so the whole is
        -- repeated instead.
        DELETE FROM parcel p WHERE p.account_id = p_account AND p.parcel_id = ANY (unnamed);
        IF cardinality(freed) > 0 AND cardinality(tried) > coalesce(cardinality(stored), 0)
        THEN
            RAISE EXCEPTION 'a number was registered at the same time'
                USING ERRCODE = 'serialization_failure';
        END IF;

        -- 6. Who has the names of the others: refused for good, or theirs in the next round.
        refused := '{}';
        over_places := '{}';
        over := '{}';
        freed := NULL;
        FOR holder IN
            SELECT h.place, h.parcel_id, h.name, h.is_over
            FROM holders_of(p_account, waiting, p_carriers, p_number_keys, p_source_ids,
                            p_reusable_before) AS h
            ORDER BY h.place, h.name DESC
        LOOP
            IF holder.is_over THEN
                over_places := over_places || holder.place;
                over := over || holder.parcel_id;
            ELSIF holder.place <> ALL (refused) THEN
                place := holder.place;
                parcel_id := NULL;
                taken := holder.name;
                taken_by := holder.parcel_id;
                RETURN NEXT;
                refused := refused || place;
            END IF;
        END LOOP;
        waiting := ARRAY(
            SELECT w.place FROM unnest(waiting) AS w (place)
            WHERE w.place <> ALL (refused) ORDER BY w.place);
    END LOOP;

    -- An open lane's turn comes at once; a paused one keeps its pause. Written only when it moves,
    -- so that a busy merchant's registrations don't queue behind one row.
    FOREACH carrier IN ARRAY lanes LOOP
        PERFORM plan_lane(p_account, carrier, now());
    END LOOP;
END
$$;
