-- name: drift
-- What carriers' answers held that was unknown, codes included, the latest first.
SELECT carrier_code, kind, what, seen, first_seen_at, last_seen_at, accepted_at
FROM carrier_drift WHERE carrier_code = ANY (:carrier_codes)
UNION ALL
SELECT carrier_code, 'code', raw_code, seen, first_seen_at, last_seen_at, accepted_at
FROM unmapped_code WHERE carrier_code = ANY (:carrier_codes)
ORDER BY last_seen_at DESC, kind, what;

-- name: accepted-drift
-- What the operator takes for known, whatever the catalogue says.
SELECT carrier_code, kind, what FROM carrier_drift
WHERE carrier_code = ANY (:carrier_codes) AND accepted_at IS NOT NULL;
