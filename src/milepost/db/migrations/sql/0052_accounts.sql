-- Who calls, and the integration that the key is bound to. The version before this one calls
-- authenticate_key and authenticate_token, which know nothing of that.

-- The living key of that name, with what its account may do; no row when unknown or revoked.
CREATE FUNCTION caller_of_key(p_account_id bigint, p_public_key text)
RETURNS TABLE (
    key_id bigint, secret_hash bytea, v2_order text, integration_id bigint, account_name text,
    account_status text, reads_per_minute integer, writes_per_minute integer,
    writes_per_second integer, render_epoch bigint
) LANGUAGE plpgsql SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    RETURN QUERY
        SELECT key.key_id, key.secret_hash, key.v2_order, key.integration_id, account.name,
               account.status, account.reads_per_minute, account.writes_per_minute,
               account.writes_per_second, account.render_epoch
        FROM api_key AS key
        JOIN account ON account.account_id = key.account_id
        WHERE key.account_id = p_account_id
          AND key.public_key = p_public_key
          AND key.revoked_at IS NULL;
END
$$;

-- The same for an access token: alive only as long as the key it was issued from.
CREATE FUNCTION caller_of_token(p_account_id bigint, p_token_hashes bytea[])
RETURNS TABLE (
    key_id bigint, secret_hash bytea, v2_order text, integration_id bigint, account_name text,
    account_status text, reads_per_minute integer, writes_per_minute integer,
    writes_per_second integer, render_epoch bigint
) LANGUAGE plpgsql SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('milepost.account_id', p_account_id::text, true);
    RETURN QUERY
        SELECT key.key_id, token.token_hash, key.v2_order, key.integration_id, account.name,
               account.status, account.reads_per_minute, account.writes_per_minute,
               account.writes_per_second, account.render_epoch
        FROM access_token AS token
        JOIN api_key AS key
          ON key.account_id = token.account_id AND key.key_id = token.key_id
        JOIN account ON account.account_id = token.account_id
        WHERE token.account_id = p_account_id
          AND token.token_hash = ANY (p_token_hashes)
          AND token.expires_at > now()
          AND key.revoked_at IS NULL;
END
$$;
REVOKE ALL ON FUNCTION caller_of_key(bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION caller_of_token(bigint, bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION caller_of_key(bigint, text)
TO milepost_app, milepost_worker, milepost_admin;
GRANT EXECUTE ON FUNCTION caller_of_token(bigint, bytea[])
TO milepost_app, milepost_worker, milepost_admin;
