-- no transaction
-- Lists of what has changed since.
CREATE INDEX CONCURRENTLY IF NOT EXISTS parcel_updated ON parcel (account_id, updated_at, parcel_id);
