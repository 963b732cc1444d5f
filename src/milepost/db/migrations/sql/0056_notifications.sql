-- Letters to recipients: who wants none, and how many went where.

-- An account has one set of choices about e-mail.
CREATE UNIQUE INDEX connection_email ON connection (account_id) WHERE kind = 'email';

-- Addresses that want no letters of an account. Of an address there is only a hash under the
-- installation's key: enough to know it again, not to write to it. It stays when a parcel is erased,
-- for else the next parcel to that address would be written about.
CREATE TABLE mail_refusal (
    account_id bigint NOT NULL,
    address_hash bytea NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, address_hash)
);

-- How many letters went to an address within a day (UTC), and with an empty hash how many of the
-- account within an hour. Gone after two days.
CREATE TABLE mail_count (
    account_id bigint NOT NULL,
    address_hash bytea NOT NULL,
    counted_from timestamptz NOT NULL,
    letters integer NOT NULL,
    PRIMARY KEY (account_id, address_hash, counted_from)
) WITH (fillfactor = 70);
CREATE INDEX mail_count_from ON mail_count (account_id, counted_from);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['mail_refusal', 'mail_count'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format(
            'CREATE POLICY own_account ON %I USING '
            '(account_id = nullif(current_setting(''milepost.account_id'', true), '''')::bigint)',
            tenant_table);
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO milepost_app, milepost_worker, milepost_admin',
            tenant_table);
    END LOOP;
END
$$;

-- Whether a letter may go: 0 it may, and is counted unless it was before; -1 its recipient wants none;
-- -2 the recipient has had p_daily letters today; else the seconds until the account, which has sent
-- p_hourly letters within this hour, may go on. p_hashes are the address under every key, the present
-- one first. 0 for a limit is no limit.
CREATE FUNCTION admit_letter(
    p_account bigint, p_hashes bytea[], p_counted boolean, p_daily integer, p_hourly integer)
RETURNS double precision
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    this_hour timestamptz := date_trunc('hour', now(), 'UTC');
    today timestamptz := date_trunc('day', now(), 'UTC');
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    IF EXISTS (SELECT FROM mail_refusal r
               WHERE r.account_id = p_account AND r.address_hash = ANY (p_hashes)) THEN
        RETURN -1;
    END IF;
    IF p_counted THEN
        RETURN 0;
    END IF;
    DELETE FROM mail_count c
    WHERE c.account_id = p_account AND c.counted_from < now() - interval '2 days';
    -- The account's row first: whoever counts for it waits here, and nowhere else.
    INSERT INTO mail_count AS c (account_id, address_hash, counted_from, letters)
    VALUES (p_account, '', this_hour, 0)
    ON CONFLICT (account_id, address_hash, counted_from) DO UPDATE SET letters = c.letters;
    IF p_daily > 0 AND EXISTS (
        SELECT FROM mail_count c
        WHERE c.account_id = p_account AND c.address_hash = p_hashes[1] AND c.counted_from = today
          AND c.letters >= p_daily) THEN
        RETURN -2;
    END IF;
    IF p_hourly > 0 AND EXISTS (
        SELECT FROM mail_count c
        WHERE c.account_id = p_account AND c.address_hash = '' AND c.counted_from = this_hour
          AND c.letters >= p_hourly) THEN
        RETURN greatest(1, extract(epoch FROM this_hour + interval '1 hour' - now()));
    END IF;
    UPDATE mail_count c SET letters = c.letters + 1
    WHERE c.account_id = p_account AND c.address_hash = '' AND c.counted_from = this_hour;
    INSERT INTO mail_count AS c (account_id, address_hash, counted_from, letters)
    VALUES (p_account, p_hashes[1], today, 1)
    ON CONFLICT (account_id, address_hash, counted_from) DO UPDATE SET letters = c.letters + 1;
    RETURN 0;
END
$$;
REVOKE ALL ON FUNCTION admit_letter(bigint, bytea[], boolean, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION admit_letter(bigint, bytea[], boolean, integer, integer)
TO milepost_worker, milepost_admin;

-- An address wants no letters of an account any more; a repeat changes nothing.
CREATE FUNCTION refuse_letters(p_account bigint, p_hash bytea) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    INSERT INTO mail_refusal (account_id, address_hash) VALUES (p_account, p_hash)
    ON CONFLICT DO NOTHING;
END
$$;
REVOKE ALL ON FUNCTION refuse_letters(bigint, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refuse_letters(bigint, bytea) TO milepost_app, milepost_admin;
