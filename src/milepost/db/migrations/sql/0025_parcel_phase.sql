-- no transaction
-- Lists of one phase, which may be rare.
CREATE INDEX CONCURRENTLY IF NOT EXISTS parcel_phase ON parcel (account_id, phase, created_at, parcel_id);
