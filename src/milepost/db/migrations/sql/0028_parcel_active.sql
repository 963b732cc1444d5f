-- no transaction
-- Lists of what is still under way, the fewer the older the account.
CREATE INDEX CONCURRENTLY IF NOT EXISTS parcel_active ON parcel (account_id, created_at, parcel_id)
    WHERE ended_at IS NULL;
