-- no transaction
-- Lists of what was announced then, which may have been long before it was registered.
CREATE INDEX CONCURRENTLY IF NOT EXISTS parcel_announced ON parcel (account_id, announced_at);
