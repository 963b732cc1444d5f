-- no transaction
-- Lists in the order of registration.
CREATE INDEX CONCURRENTLY IF NOT EXISTS parcel_created ON parcel (account_id, created_at, parcel_id);
