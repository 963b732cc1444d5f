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

-- Registers parcels, each with its first event, its schedule, its words and its outbox row. One row
-- of the result for each given one, by its place (from 1): the new parcel's id, or which of its two
-- names is taken and by whom. A name is free again where its parcel was over before
-- p_reusable_before; that parcel is retired. Rows of one call stand in each other's way like calls
-- one after the other would: a taken row takes nothing.
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
    waiting integer[] := ARRAY(SELECT generate_series(1, cardinality(p_carriers)));
    in_the_way jsonb;
    tried integer[];
    free bigint[];
    stored integer[];
    stored_ids bigint[];
    unnamed bigint[];
    carriers text[];
    lanes text[] := '{}';
    carrier text;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    WHILE cardinality(waiting) > 0 LOOP
        -- 1. Who has the names already: by place, and whether that parcel may be retired.
        SELECT jsonb_agg(jsonb_build_object(
                   'place', w.place, 'parcel_id', h.parcel_id, 'name', h.name,
                   'over', coalesce(p.over_since < p_reusable_before, false)))
        INTO in_the_way
        FROM unnest(waiting) AS w (place)
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

        IF in_the_way IS NOT NULL THEN
            RETURN QUERY
            SELECT DISTINCT ON (h.place) h.place, NULL::bigint, h.name, h.parcel_id
            FROM jsonb_to_recordset(in_the_way) AS h (
                place integer, parcel_id bigint, name text, over boolean)
            WHERE NOT h.over ORDER BY h.place, h.name DESC;
            waiting := ARRAY(
                SELECT w.place FROM unnest(waiting) AS w (place)
                WHERE w.place NOT IN (
                    SELECT h.place FROM jsonb_to_recordset(in_the_way) AS h (
                        place integer, over boolean)
                    WHERE NOT h.over)
                ORDER BY w.place);
            EXIT WHEN cardinality(waiting) = 0;
        END IF;

        -- 2. Of rows that name the same, the first; the others see next time what became of it.
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

        -- 3. Parcels that have been over for long enough give up their names.
        free := NULL;
        IF in_the_way IS NOT NULL THEN
            free := ARRAY(
                SELECT p.parcel_id FROM parcel p
                WHERE p.account_id = p_account AND p.is_current
                  AND coalesce(p.ended_at, p.stopped_at) < p_reusable_before
                  AND p.parcel_id IN (
                      SELECT h.parcel_id FROM jsonb_to_recordset(in_the_way) AS h (
                          place integer, parcel_id bigint)
                      WHERE h.place = ANY (tried))
                ORDER BY p.parcel_id FOR UPDATE);
            UPDATE parcel p SET is_current = false, revision = p.revision + 1
            WHERE p.account_id = p_account AND p.parcel_id = ANY (free);
            UPDATE tracked_number n SET is_current = false
            WHERE n.account_id = p_account AND n.parcel_id = ANY (free);
        END IF;

        -- 4. Store them. Names are taken in one order by everybody, so that two batches of the same
        -- parcels wait for each other once, and not each for the other.
        WITH given AS MATERIALIZED (
            SELECT t.place, nextval('parcel_parcel_id_seq') AS new_id,
                   p_carriers[t.place] AS carrier_code, p_number_keys[t.place] AS number_key,
                   p_source_ids[t.place] AS source_id, r.*
            FROM unnest(tried) AS t (place)
            CROSS JOIN LATERAL jsonb_to_record(p_rows -> (t.place - 1)) AS r (
                tracking_number text, identifier_key text, request jsonb,
                announced_at timestamptz, phase text, exception text, status_type text,
                sub_status text, status text, status_at timestamptz, event_key text,
                event_type text, event_carrier text, raw_code text, mapping_version integer,
                fact jsonb, words text[], next_deadline_at timestamptz)
        ), registered AS (
            INSERT INTO parcel (
                account_id, parcel_id, carrier_code, tracking_number, source_id, request,
                announced_at, created_at, updated_at, phase, exception, status_type, sub_status,
                status, status_at, event_count)
            SELECT p_account, g.new_id, g.carrier_code, g.tracking_number, g.source_id, g.request,
                   g.announced_at, p_now, p_now, g.phase, g.exception, g.status_type, g.sub_status,
                   g.status, g.status_at, 1
            FROM given g ORDER BY g.source_id, g.place
            ON CONFLICT DO NOTHING RETURNING parcel_id
        ), numbered AS (
            INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
            SELECT p_account, g.new_id, g.carrier_code, g.number_key, 'number'
            FROM registered r JOIN given g ON g.new_id = r.parcel_id
            ORDER BY g.carrier_code, g.number_key
            ON CONFLICT DO NOTHING RETURNING parcel_id
        ), aliased AS (
            INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
            SELECT p_account, g.new_id, g.carrier_code, g.identifier_key, 'identifier'
            FROM numbered n JOIN given g ON g.new_id = n.parcel_id
            WHERE g.identifier_key <> '' AND g.identifier_key <> g.number_key
        ), first_event AS (
            INSERT INTO event (
                account_id, parcel_id, sequence, event_key, event_type, carrier_code, raw_code,
                mapping_version, fact, recorded_at)
            SELECT p_account, g.new_id, 1, g.event_key, g.event_type, g.event_carrier, g.raw_code,
                   g.mapping_version, g.fact, p_now
            FROM numbered n JOIN given g ON g.new_id = n.parcel_id
        ), told AS (
            INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)
            SELECT p_account, n.parcel_id, 1, 'event', p_now FROM numbered n ORDER BY n.parcel_id
        ), watched AS (
            INSERT INTO watch (
                account_id, carrier_code, parcel_id, urgency, due_at, next_deadline_at)
            SELECT p_account, g.carrier_code, g.new_id, p_urgency, now(), g.next_deadline_at
            FROM numbered n JOIN given g ON g.new_id = n.parcel_id
        ), found_by AS (
            INSERT INTO parcel_search (account_id, parcel_id, words)
            SELECT p_account, g.new_id, array_to_tsvector(g.words)
            FROM numbered n JOIN given g ON g.new_id = n.parcel_id
        )
        SELECT array_agg(g.place) FILTER (WHERE n.parcel_id IS NOT NULL),
               array_agg(n.parcel_id) FILTER (WHERE n.parcel_id IS NOT NULL),
               array_agg(r.parcel_id) FILTER (WHERE n.parcel_id IS NULL),
               array_agg(DISTINCT g.carrier_code) FILTER (WHERE n.parcel_id IS NOT NULL)
        INTO stored, stored_ids, unnamed, carriers
        FROM given g
        LEFT JOIN registered r ON r.parcel_id = g.new_id
        LEFT JOIN numbered n ON n.parcel_id = g.new_id;
        RETURN QUERY
        SELECT s.place, s.parcel_id, '', NULL::bigint
        FROM unnest(stored, stored_ids) AS s (place, parcel_id);
        lanes := lanes || carriers;

        -- 5. Somebody took a name since step 1: that row is undone, and finds out next time by whom.
        IF coalesce(cardinality(stored), 0) < cardinality(tried) THEN
            IF cardinality(free) > 0 THEN
                -- Its own step 3 would have to be undone too; the whole is repeated instead.
                RAISE EXCEPTION 'a number was registered at the same time'
                    USING ERRCODE = 'serialization_failure';
            END IF;
            DELETE FROM parcel p WHERE p.account_id = p_account AND p.parcel_id = ANY (unnamed);
        END IF;
        waiting := ARRAY(
            SELECT w.place FROM unnest(waiting) AS w (place)
            WHERE w.place <> ALL (coalesce(stored, '{}')) ORDER BY w.place);
    END LOOP;

    -- An open lane's turn comes at once; a paused one keeps its pause. Written only when it moves,
    -- so that a busy merchant's registrations don't queue behind one row.
    FOREACH carrier IN ARRAY lanes LOOP
        PERFORM plan_lane(p_account, carrier, now());
    END LOOP;
END
$$;
