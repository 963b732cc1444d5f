-- no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idempotency_key_parcel ON idempotency_key (account_id, parcel_id);
