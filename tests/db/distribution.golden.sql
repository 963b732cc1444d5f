DO $do$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET citus.propagate_set_commands = local',
                   current_database());
END $do$;
SELECT nodeid, success, result FROM run_command_on_all_nodes($cmd$DO $do$
DECLARE
    acting text;
BEGIN
    FOREACH acting IN ARRAY ARRAY['milepost_app', 'milepost_worker', 'milepost_admin'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = acting) THEN
            EXECUTE format('CREATE ROLE %I', acting);
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = acting AND rolcanlogin) THEN
            EXECUTE format('ALTER ROLE %I LOGIN', acting);
        END IF;
    END LOOP;
END $do$$cmd$);
SELECT create_distributed_table('account', 'account_id', colocate_with => 'none', shard_count => 64);
SELECT create_distributed_table('api_key', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('audit', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('carrier_credential', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('contract', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('erasure', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('idempotency_key', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('lane', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('outbox', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('parcel', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('rate_window', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('access_token', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('event', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('parcel_search', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('tracked_number', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('watch', 'account_id', colocate_with => 'account');
SELECT create_distributed_function('promise_room(integer[],integer,bigint,integer[],bigint,integer,integer,integer,integer[],bigint,integer,integer,integer)');
SELECT create_distributed_function('slid_window(integer[],bigint,bigint,integer)');
SELECT create_distributed_function('account_credential(bigint,text)', 'p_account_id', colocate_with => 'account');
SELECT create_distributed_function('authenticate_key(bigint,text)', 'p_account_id', colocate_with => 'account');
SELECT create_distributed_function('authenticate_token(bigint,bytea[])', 'p_account_id', colocate_with => 'account');
SELECT create_distributed_function('begin_idempotent(bigint,text,bytea,integer)', 'p_account_id', colocate_with => 'account');
SELECT create_distributed_function('claim_watches(bigint,text,integer,interval)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('contract_of(bigint,text)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('earliest_due(bigint,text)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('finish_checks(bigint,text,jsonb)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('holds_fence(bigint,bigint,bigint)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('issue_token(bigint,bigint,bytea,text,integer)', 'p_account_id', colocate_with => 'account');
SELECT create_distributed_function('keep_answers(bigint,bigint,bigint,bigint,text,bytea,bytea)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('load_parcels(bigint,bigint[])', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('pause_lane(bigint,text,text,interval)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('pause_lane(bigint,text,text,interval,text,bytea)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('plan_lane(bigint,text,timestamp with time zone)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('raise_render_epoch(bigint)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('read_answers(bigint,text[])', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('record_parcel(bigint,bigint,bigint,bigint,timestamp with time zone,jsonb,bytea,bytea,jsonb,jsonb,integer[],jsonb)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('register_parcel(bigint,text,text,text,text,text,jsonb,timestamp with time zone,timestamp with time zone,timestamp with time zone,jsonb,jsonb,smallint)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('register_parcels(bigint,text[],text[],text[],jsonb,timestamp with time zone,timestamp with time zone,smallint)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('renew_leases(bigint,bigint[],bigint[],interval)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('repair_lane(bigint,text)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('repair_lanes(bigint,text[])', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('rest_lane(bigint,text,interval)', 'p_account', colocate_with => 'account');
SELECT create_distributed_function('spend_budget(bigint,text,integer,integer,integer,bigint,integer,integer,integer,integer,integer,integer,integer)', 'p_account_id', colocate_with => 'account');
SELECT create_distributed_function('wake_lane(bigint,text)', 'p_account', colocate_with => 'account');
SELECT truncate_local_data_after_distributing_table('account');
SELECT truncate_local_data_after_distributing_table('api_key');
SELECT truncate_local_data_after_distributing_table('audit');
SELECT truncate_local_data_after_distributing_table('carrier_credential');
SELECT truncate_local_data_after_distributing_table('contract');
SELECT truncate_local_data_after_distributing_table('erasure');
SELECT truncate_local_data_after_distributing_table('idempotency_key');
SELECT truncate_local_data_after_distributing_table('lane');
SELECT truncate_local_data_after_distributing_table('outbox');
SELECT truncate_local_data_after_distributing_table('parcel');
SELECT truncate_local_data_after_distributing_table('rate_window');
SELECT truncate_local_data_after_distributing_table('access_token');
SELECT truncate_local_data_after_distributing_table('event');
SELECT truncate_local_data_after_distributing_table('parcel_search');
SELECT truncate_local_data_after_distributing_table('tracked_number');
SELECT truncate_local_data_after_distributing_table('watch');
