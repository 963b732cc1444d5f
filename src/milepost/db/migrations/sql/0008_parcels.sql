-- Forgets an account's oldest audit entries that are older than p_before, at most p_most; how many.
-- With its owner's rights, for the roles that write the audit may not take anything out of it; never
-- what is younger than a month, whoever asks.
CREATE FUNCTION forget_audit(p_account bigint, p_before timestamptz, p_most integer)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    gone integer;
BEGIN
    PERFORM set_config('milepost.account_id', p_account::text, true);
    WITH oldest AS (
        SELECT a.audit_id, a.at FROM audit a
        WHERE a.account_id = p_account ORDER BY a.audit_id LIMIT p_most
    )
    DELETE FROM audit a USING oldest o
    WHERE a.account_id = p_account AND a.audit_id = o.audit_id
      AND o.at < least(p_before, now() - interval '30 days');
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
REVOKE ALL ON FUNCTION forget_audit(bigint, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_audit(bigint, timestamptz, integer)
    TO milepost_worker, milepost_admin;
