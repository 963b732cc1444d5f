-- no transaction
-- Lists of one status, which may be rare.
CREATE INDEX CONCURRENTLY IF NOT EXISTS parcel_status ON parcel (account_id, status, created_at, parcel_id);
