-- Roles: nobody logs in as them, every connection of ours acts as one (startup parameter "role").
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'milepost_app') THEN
        CREATE ROLE milepost_app NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'milepost_worker') THEN
        CREATE ROLE milepost_worker NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'milepost_admin') THEN
        CREATE ROLE milepost_admin NOLOGIN;
    END IF;
    -- Whoever may act as all three already needs no grant, and may lack the right to give one.
    IF NOT (pg_has_role(current_user, 'milepost_app', 'SET')
            AND pg_has_role(current_user, 'milepost_worker', 'SET')
            AND pg_has_role(current_user, 'milepost_admin', 'SET')) THEN
        EXECUTE format('GRANT milepost_app, milepost_worker, milepost_admin TO %I', current_user);
    END IF;
END
$$;

-- Tenant tables: account_id first in every key. -----------------------------------------------

CREATE TABLE account (
    account_id bigserial PRIMARY KEY,
    name text NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    reads_per_minute integer NOT NULL DEFAULT 1000,
    writes_per_minute integer NOT NULL DEFAULT 100,
    writes_per_second integer NOT NULL DEFAULT 15,
    render_epoch bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_key (
    account_id bigint NOT NULL REFERENCES account (account_id),
    key_id bigserial,
    public_key text NOT NULL COLLATE "C",
    secret_hash bytea NOT NULL,
    label text NOT NULL DEFAULT '',
    v2_order text NOT NULL DEFAULT 'newest' CHECK (v2_order IN ('newest', 'oldest')),
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    PRIMARY KEY (account_id, key_id),
    UNIQUE (account_id, public_key)
);

CREATE TABLE access_token (
    account_id bigint NOT NULL,
    token_hash bytea NOT NULL,
    key_id bigint NOT NULL,
    scope text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, token_hash),
    FOREIGN KEY (account_id, key_id) REFERENCES api_key (account_id, key_id)
);

-- What an account spent lately, in small time buckets: the state of its rate limits. Each array
-- ends at the bucket named beside it (see spend_budget).
CREATE TABLE rate_window (
    account_id bigint NOT NULL,
    kind text NOT NULL COLLATE "C",
    newest_bucket bigint NOT NULL DEFAULT 0,
    spent integer[] NOT NULL DEFAULT '{}',
    newest_burst_bucket bigint NOT NULL DEFAULT 0,
    burst_spent integer[] NOT NULL DEFAULT '{}',
    newest_promise_second bigint NOT NULL DEFAULT 0,
    promised integer[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (account_id, kind)
) WITH (fillfactor = 50);

CREATE TABLE idempotency_key (
    account_id bigint NOT NULL,
    key text NOT NULL COLLATE "C",
    fingerprint bytea NOT NULL,
    status integer,
    headers jsonb,
    body bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, key)
);

-- A carrier login of one account; sealed, see accounts.vault.
CREATE TABLE carrier_credential (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    sealed bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, carrier_code)
);

-- The contract id we answer with where the client named none.
CREATE TABLE contract (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    contract_id bigserial,
    PRIMARY KEY (account_id, carrier_code)
);

CREATE TABLE parcel (
    account_id bigint NOT NULL,
    parcel_id bigserial,
    revision bigint NOT NULL DEFAULT 1,
    carrier_code text NOT NULL COLLATE "C",
    tracking_number text NOT NULL,
    source_id text NOT NULL DEFAULT '' COLLATE "C",
    is_current boolean NOT NULL DEFAULT true,
    request jsonb NOT NULL,
    announced_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    phase text NOT NULL COLLATE "C",
    exception text NOT NULL COLLATE "C",
    status_type text NOT NULL COLLATE "C",
    sub_status text NOT NULL COLLATE "C",
    status text NOT NULL COLLATE "C",
    status_at timestamptz NOT NULL,
    first_scan_at timestamptz,
    last_scan_at timestamptz,
    ended_at timestamptz,
    stopped_at timestamptz,
    stop_reason text NOT NULL DEFAULT '',
    estimate jsonb,
    extra jsonb NOT NULL DEFAULT '{}',
    event_count integer NOT NULL DEFAULT 0,
    render_epoch bigint NOT NULL DEFAULT -1,
    etag text NOT NULL DEFAULT '',
    v3_answer bytea,
    v2_answer bytea,
    PRIMARY KEY (account_id, parcel_id)
);
-- One current parcel per source_id; '' is no source_id.
CREATE UNIQUE INDEX parcel_current_source ON parcel (account_id, source_id)
    WHERE is_current AND source_id <> '';

-- Every number a parcel is found by. Only kind 'number' is unique: an identifier is an alias.
CREATE TABLE tracked_number (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    number_key text NOT NULL COLLATE "C",
    kind text NOT NULL COLLATE "C" CHECK (kind IN ('number', 'identifier')),
    is_current boolean NOT NULL DEFAULT true,
    PRIMARY KEY (account_id, parcel_id, kind, number_key),
    FOREIGN KEY (account_id, parcel_id) REFERENCES parcel (account_id, parcel_id)
);
CREATE UNIQUE INDEX tracked_number_current ON tracked_number (account_id, carrier_code, number_key)
    WHERE is_current AND kind = 'number';
CREATE INDEX tracked_number_lookup ON tracked_number (account_id, number_key, parcel_id DESC);

-- One row per physical scan. `fact` holds the telling that is shown, the sightings and the
-- revisions, lossless; the columns beside it are what is looked for.
CREATE TABLE event (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    sequence integer NOT NULL,
    event_key text NOT NULL COLLATE "C",
    event_type text NOT NULL COLLATE "C",
    carrier_code text NOT NULL COLLATE "C",
    raw_code text NOT NULL,
    mapping_version integer NOT NULL,
    fact jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    PRIMARY KEY (account_id, parcel_id, sequence),
    UNIQUE (account_id, parcel_id, event_key),
    FOREIGN KEY (account_id, parcel_id) REFERENCES parcel (account_id, parcel_id)
);

-- The schedule: one narrow row per number asked, rewritten by every check.
CREATE TABLE watch (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    parcel_id bigint NOT NULL,
    urgency smallint NOT NULL,
    due_at timestamptz NOT NULL,
    next_deadline_at timestamptz,
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    misses integer NOT NULL DEFAULT 0,
    answer_hash bytea,
    last_checked_at timestamptz,
    PRIMARY KEY (account_id, parcel_id),
    FOREIGN KEY (account_id, parcel_id) REFERENCES parcel (account_id, parcel_id)
) WITH (fillfactor = 80);
CREATE INDEX watch_due ON watch (account_id, carrier_code, urgency, due_at);

-- One row per (account, carrier): whose turn it is. The one hot index that may start with a time.
CREATE TABLE lane (
    account_id bigint NOT NULL,
    carrier_code text NOT NULL COLLATE "C",
    turn_at timestamptz NOT NULL,
    paused_until timestamptz,
    state text NOT NULL DEFAULT 'open' COLLATE "C",
    PRIMARY KEY (account_id, carrier_code)
) WITH (fillfactor = 70);
CREATE INDEX lane_turn ON lane (turn_at);

-- What happened and has to be told. The parcels room inserts, the notifications room deletes.
CREATE TABLE outbox (
    account_id bigint NOT NULL,
    outbox_id bigserial,
    parcel_id bigint NOT NULL,
    sequence integer NOT NULL,
    kind text NOT NULL COLLATE "C",
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, outbox_id)
);

-- Platform tables: no account, never joined with or written beside a tenant table. -------------

CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    key_fingerprint text NOT NULL DEFAULT ''
);
INSERT INTO installation DEFAULT VALUES;

CREATE TABLE operator_credential (
    carrier_code text PRIMARY KEY COLLATE "C",
    sealed bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- When the next question to a carrier with one credential may start.
CREATE TABLE carrier_budget (
    carrier_code text NOT NULL COLLATE "C",
    owner text NOT NULL COLLATE "C",
    next_slot_at timestamptz NOT NULL DEFAULT '-infinity',
    paused_until timestamptz,
    PRIMARY KEY (carrier_code, owner)
) WITH (fillfactor = 50);

-- Where a carrier's documented host is really reached (a gateway, a test server).
CREATE TABLE host_route (
    host text PRIMARY KEY COLLATE "C",
    base_url text NOT NULL
);

-- Row-level security: the second lock behind "every query carries account_id". ------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'account', 'api_key', 'access_token', 'rate_window', 'idempotency_key', 'carrier_credential',
        'contract', 'parcel', 'tracked_number', 'event', 'watch', 'lane', 'outbox'
    ] LOOP
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
REVOKE INSERT, DELETE ON account FROM milepost_app, milepost_worker;
REVOKE INSERT, DELETE ON api_key FROM milepost_app, milepost_worker;
-- The worker sees every lane; the operator's command line every account, its keys and its lanes.
CREATE POLICY worker_lane ON lane TO milepost_worker USING (true);
CREATE POLICY admin_lane ON lane TO milepost_admin USING (true);
CREATE POLICY admin_account ON account TO milepost_admin USING (true);
CREATE POLICY admin_api_key ON api_key TO milepost_admin USING (true);

GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO milepost_app, milepost_worker, milepost_admin;
GRANT SELECT ON installation, operator_credential, host_route
    TO milepost_app, milepost_worker, milepost_admin;
GRANT INSERT, UPDATE, DELETE ON operator_credential, host_route TO milepost_admin;
GRANT UPDATE ON installation TO milepost_admin, milepost_app;
GRANT SELECT, INSERT, UPDATE ON carrier_budget TO milepost_app, milepost_worker, milepost_admin;
