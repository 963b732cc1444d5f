-- no transaction
-- Lists of one carrier.
CREATE INDEX CONCURRENTLY IF NOT EXISTS parcel_carrier ON parcel (account_id, carrier_code, created_at, parcel_id);
