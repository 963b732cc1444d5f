-- no transaction
-- Lists of what went wrong.
CREATE INDEX CONCURRENTLY IF NOT EXISTS parcel_exception ON parcel (account_id, exception, created_at, parcel_id)
    WHERE exception <> 'none';
