-- Whom we tell, what, and what became of it.

-- Where events go: a webhook or klaviyo connection of the Event Subscriptions API, an integration with
-- its classic webhook, or the account's e-mails. They share their ids. settings is what may be shown;
-- sealed holds what may not (logins, headers), and the keys that sign are sealed likewise.
CREATE TABLE connection (
    account_id bigint NOT NULL,
    connection_id bigserial,
    kind text NOT NULL COLLATE "C" CHECK (kind IN ('webhook', 'klaviyo', 'integration', 'email')),
    form text NOT NULL COLLATE "C",
    name text NOT NULL DEFAULT '',
    url text NOT NULL DEFAULT '',
    is_active boolean NOT NULL DEFAULT true,
    settings jsonb NOT NULL DEFAULT '{}',
    sealed bytea,
    signing_key bytea,
    former_key bytea,
    former_key_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, connection_id)
);

-- Which events go to a connection of the Event Subscriptions API.
CREATE TABLE subscription (
    account_id bigint NOT NULL,
    subscription_id bigserial,
    connection_id bigint NOT NULL,
    event_type text NOT NULL COLLATE "C",
    is_active boolean NOT NULL DEFAULT true,
    filters jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, subscription_id),
    FOREIGN KEY (account_id, connection_id) REFERENCES connection (account_id, connection_id)
);
CREATE INDEX subscription_connection ON subscription (account_id, connection_id);

-- The hot row of a connection: when its next delivery is due, and who is at it. Whoever adds
-- deliveries, finishes one or lets the lane go locks it first and reads after that, so none misses the
-- other. turn_at is infinity where nothing is pending; a lane that is paused or disabled keeps its turn.
-- rests_until: nothing is sent before, its subscriber fails or has asked for it.
CREATE TABLE delivery_lane (
    account_id bigint NOT NULL,
    connection_id bigint NOT NULL,
    turn_at timestamptz NOT NULL DEFAULT 'infinity',
    state text NOT NULL DEFAULT 'open' COLLATE "C" CHECK (state IN ('open', 'paused', 'disabled')),
    reason text NOT NULL DEFAULT '',
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    rests_until timestamptz,
    failing_since timestamptz,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    PRIMARY KEY (account_id, connection_id),
    FOREIGN KEY (account_id, connection_id) REFERENCES connection (account_id, connection_id)
) WITH (fillfactor = 70);
CREATE INDEX delivery_lane_turn ON delivery_lane (turn_at) WHERE state = 'open';

-- The number of the feed's last event, and of the oldest one that is still kept.
CREATE TABLE feed_head (
    account_id bigint NOT NULL,
    feed_seq bigint NOT NULL DEFAULT 0,
    kept_from bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (account_id)
) WITH (fillfactor = 70);

-- What happened, numbered without a gap; what there is to say of it is in its message. An erased
-- parcel's rows stay as gravestones: kind erased, no message.
CREATE TABLE feed_event (
    account_id bigint NOT NULL,
    feed_seq bigint NOT NULL,
    parcel_id bigint NOT NULL,
    sequence integer NOT NULL,
    kind text NOT NULL COLLATE "C",
    recorded_at timestamptz NOT NULL,
    message_id bigint,
    PRIMARY KEY (account_id, feed_seq)
);
CREATE INDEX feed_event_parcel ON feed_event (account_id, parcel_id);

-- The last status of a parcel that anybody was told: what "changed" means.
CREATE TABLE told_status (
    account_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    status text NOT NULL COLLATE "C",
    PRIMARY KEY (account_id, parcel_id)
) WITH (fillfactor = 90);

-- A body, once for each event and form. parcel_id 0: it is of no parcel.
CREATE TABLE message (
    account_id bigint NOT NULL,
    message_id bigserial,
    parcel_id bigint NOT NULL,
    sequence integer NOT NULL DEFAULT 0,
    event_id text NOT NULL COLLATE "C",
    action text NOT NULL COLLATE "C",
    form text NOT NULL COLLATE "C",
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, message_id)
);
ALTER TABLE message ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX message_parcel ON message (account_id, parcel_id);
CREATE INDEX message_created ON message (account_id, created_at);

-- A message on its way to a connection. Only the first pending one of a (connection, parcel) has a
-- time; those behind it wait at infinity until it is finished. One that is replayed is pending once
-- more, and its attempts are counted from the beginning.
CREATE TABLE delivery (
    account_id bigint NOT NULL,
    delivery_id bigserial,
    connection_id bigint NOT NULL,
    message_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    state text NOT NULL DEFAULT 'pending' COLLATE "C"
        CHECK (state IN ('pending', 'delivered', 'failed', 'cancelled')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    replayed_at timestamptz,
    PRIMARY KEY (account_id, delivery_id),
    FOREIGN KEY (account_id, message_id) REFERENCES message (account_id, message_id),
    FOREIGN KEY (account_id, connection_id) REFERENCES connection (account_id, connection_id)
) WITH (fillfactor = 80);
CREATE INDEX delivery_due ON delivery (account_id, connection_id, due_at) WHERE state = 'pending';
CREATE INDEX delivery_order ON delivery (account_id, connection_id, parcel_id, delivery_id)
WHERE state = 'pending';
CREATE INDEX delivery_of_connection ON delivery (account_id, connection_id, delivery_id DESC);
CREATE INDEX delivery_message ON delivery (account_id, message_id);

-- What was sent and what came back, by the month: a month is dropped as a whole. Secrets are not in
-- it. No foreign key, which would take locks on delivery for that.
CREATE TABLE delivery_attempt (
    account_id bigint NOT NULL,
    delivery_id bigint NOT NULL,
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    connection_id bigint NOT NULL,
    parcel_id bigint NOT NULL,
    outcome text NOT NULL COLLATE "C",
    status integer,
    milliseconds integer NOT NULL,
    error text NOT NULL DEFAULT '',
    request_headers jsonb NOT NULL DEFAULT '{}',
    answer bytea NOT NULL DEFAULT '',
    PRIMARY KEY (account_id, delivery_id, attempt, started_at)
) PARTITION BY RANGE (started_at);
-- The net below the months, should nobody have made the one that is needed.
CREATE TABLE delivery_attempt_rest PARTITION OF delivery_attempt DEFAULT;
CREATE INDEX delivery_attempt_connection
ON delivery_attempt (account_id, connection_id, started_at DESC);
CREATE INDEX delivery_attempt_parcel ON delivery_attempt (account_id, parcel_id);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'connection', 'subscription', 'delivery_lane', 'feed_head', 'feed_event', 'told_status',
        'message', 'delivery', 'delivery_attempt'
    ] LOOP
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
GRANT USAGE ON SEQUENCE connection_connection_id_seq, subscription_subscription_id_seq,
    message_message_id_seq, delivery_delivery_id_seq
TO milepost_app, milepost_worker, milepost_admin;
-- The worker sees whose turn it is, who ever told something, and whose outbox holds something (it has
-- ids only).
CREATE POLICY worker_delivery_lane ON delivery_lane TO milepost_worker USING (true);
CREATE POLICY admin_delivery_lane ON delivery_lane TO milepost_admin USING (true);
CREATE POLICY worker_feed_head ON feed_head FOR SELECT TO milepost_worker USING (true);
CREATE POLICY worker_outbox ON outbox FOR SELECT TO milepost_worker USING (true);

-- An API key may be an integration's: its parcels are then that integration's.
ALTER TABLE api_key ADD COLUMN integration_id bigint;

-- Accounts with something in their outbox, at most p_most, in key order beyond p_after. Each is one
-- look into the index, however full their outboxes are.
CREATE FUNCTION outbox_accounts(p_after bigint, p_most integer) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    account bigint := p_after;
BEGIN
    FOR turn IN 1..p_most LOOP
        SELECT o.account_id INTO account FROM outbox o
        WHERE o.account_id > account ORDER BY o.account_id LIMIT 1;
        EXIT WHEN account IS NULL;
        RETURN NEXT account;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION outbox_accounts(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION outbox_accounts(bigint, integer) TO milepost_worker, milepost_admin;
