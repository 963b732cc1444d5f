-- no transaction
-- An account's own events that nothing was made of, by their codes.
CREATE INDEX CONCURRENTLY IF NOT EXISTS event_unmapped ON event (account_id, carrier_code, raw_code, recorded_at)
WHERE fact #>> '{told,reading,0}' = 'unknown';
