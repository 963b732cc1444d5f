-- no transaction
-- Lists of what has arrived.
CREATE INDEX CONCURRENTLY IF NOT EXISTS parcel_ended ON parcel (account_id, ended_at, parcel_id)
    WHERE ended_at IS NOT NULL;
