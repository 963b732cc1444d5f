-- Lists and searches of parcels, and what an account used. The indexes they walk are 0021 to 0029.

-- Parcels registered, by UTC day, carrier and shipping option ('' where it was shipped by contract
-- alone). Counted a moment later and in passing, so that no registration waits for a counter.
CREATE TABLE usage_day (
    account_id bigint NOT NULL,
    day date NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    shipping_option text NOT NULL COLLATE "C",
    parcels bigint NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, day, carrier_code, shipping_option)
);

-- How far an account's parcels were gone through: counted, and given their words of a search where
-- the version before registered them without.
CREATE TABLE usage_mark (
    account_id bigint NOT NULL PRIMARY KEY,
    parcel_id bigint NOT NULL
);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['usage_day', 'usage_mark'] LOOP
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

-- At most p_most parcels of the account whose words match. Row-level security lets no operator but
-- a leakproof one use an index, and @@ is none: without its owner's rights this would read the
-- table from end to end. So the function looks at the account's setting itself, as a policy would.
CREATE FUNCTION search_parcels(p_account bigint, p_words tsquery, p_most integer)
RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF p_account IS DISTINCT FROM
       nullif(current_setting('milepost.account_id', true), '')::bigint THEN
        RAISE EXCEPTION 'not the account that is set' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY SELECT s.parcel_id FROM parcel_search s
    WHERE s.account_id = p_account AND s.words @@ p_words LIMIT p_most;
END
$$;
REVOKE EXECUTE ON FUNCTION search_parcels(bigint, tsquery, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_parcels(bigint, tsquery, integer)
    TO milepost_app, milepost_worker, milepost_admin;
-- The operator's role owns it and sees every account's words, as it sees every account; nobody
-- keeps the right to create, which an owner needs for this moment only.
GRANT CREATE ON SCHEMA public TO milepost_admin;
ALTER FUNCTION search_parcels(bigint, tsquery, integer) OWNER TO milepost_admin;
REVOKE CREATE ON SCHEMA public FROM milepost_admin;
CREATE POLICY admin_parcel_search ON parcel_search FOR SELECT TO milepost_admin USING (true);

-- The next parcels nobody has gone through, oldest first, and how far it was gone before them; those
-- of the last two minutes wait, as one that commits later may have a smaller id.
CREATE FUNCTION unseen_parcels(p_account bigint, p_most integer)
RETURNS TABLE (
    parcel_id bigint, revision bigint, carrier_code text, tracking_number text, source_id text,
    request jsonb, has_words boolean, mark bigint
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    seen bigint;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    seen := coalesce((SELECT m.parcel_id FROM usage_mark m WHERE m.account_id = p_account), 0);
    RETURN QUERY
    SELECT p.parcel_id, p.revision, p.carrier_code, p.tracking_number, p.source_id, p.request,
           EXISTS (SELECT FROM parcel_search s
                   WHERE s.account_id = p_account AND s.parcel_id = p.parcel_id), seen
    FROM parcel p
    WHERE p.account_id = p_account AND p.parcel_id > seen
      AND p.created_at < now() - interval '2 minutes'
    ORDER BY p.parcel_id LIMIT p_most;
END
$$;

-- Counts the parcels after p_mark up to p_upto and keeps the words that some lacked; false, and
-- nothing done, when somebody else has gone through them. Words of a parcel that has changed since
-- they were made are left to whoever changed it.
CREATE FUNCTION keep_seen(p_account bigint, p_mark bigint, p_upto bigint, p_words jsonb)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    INSERT INTO usage_mark AS m (account_id, parcel_id) VALUES (p_account, p_upto)
    ON CONFLICT (account_id) DO UPDATE SET parcel_id = excluded.parcel_id
    WHERE m.parcel_id = p_mark;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO usage_day AS d (
        account_id, day, carrier_code, shipping_option, parcels, last_at)
    SELECT p.account_id, (p.created_at AT TIME ZONE 'UTC')::date, p.carrier_code,
           coalesce(p.request #>> '{ship_with,properties,shipping_option_code}', ''),
           count(*), max(p.created_at)
    FROM parcel p
    WHERE p.account_id = p_account AND p.parcel_id > p_mark AND p.parcel_id <= p_upto
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (account_id, day, carrier_code, shipping_option) DO UPDATE
    SET parcels = d.parcels + excluded.parcels, last_at = greatest(d.last_at, excluded.last_at);
    INSERT INTO parcel_search (account_id, parcel_id, words)
    SELECT p.account_id, p.parcel_id,
           array_to_tsvector(ARRAY(SELECT jsonb_array_elements_text(w.words)))
    FROM jsonb_to_recordset(p_words) AS w (parcel_id bigint, revision bigint, words jsonb)
    JOIN parcel p ON p.account_id = p_account AND p.parcel_id = w.parcel_id
                 AND p.revision = w.revision
    ON CONFLICT (account_id, parcel_id) DO NOTHING;
    RETURN true;
END
$$;
