-- no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS watch_deadline ON watch (account_id, carrier_code, next_deadline_at)
    WHERE next_deadline_at < 'infinity';
