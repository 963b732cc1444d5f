-- name: due-lanes
-- The lanes whose turn has come, longest waiting first; read without a lock, for claims lock rows.
SELECT account_id, carrier_code, state FROM lane WHERE turn_at <= now() ORDER BY turn_at LIMIT :most;

-- name: closed-lanes
-- Lanes nobody asks for though their carrier can be asked, to see whether the reason still holds.
SELECT account_id, carrier_code, state FROM lane
WHERE state IN ('not_supported', 'waiting_for_credentials') AND carrier_code = ANY (:carrier_codes)
  AND (account_id, carrier_code) > (:account_id, :carrier_code)
ORDER BY account_id, carrier_code LIMIT :most;

-- name: open-lanes
-- Lanes whose next turn is further ahead than the next sweep, to see whether a row is due before it.
SELECT account_id, carrier_code, state FROM lane
WHERE state IN ('open', 'credential_refused') AND turn_at > now() + :ahead
  AND (account_id, carrier_code) > (:account_id, :carrier_code)
ORDER BY account_id, carrier_code LIMIT :most;

-- name: resting
-- Breakers that are not closed, and carriers that are paused.
SELECT carrier_code, '' AS owner, 'paused' AS state, NULL::timestamptz AS open_until FROM carrier_pause
UNION ALL
SELECT carrier_code, owner, CASE WHEN open_until > now() THEN 'open' ELSE 'half_open' END, open_until
FROM carrier_budget WHERE open_until IS NOT NULL
ORDER BY carrier_code, owner;

-- name: end-rests!
-- The lanes of a carrier that rest have their turn now (operator only).
UPDATE lane SET turn_at = now(), paused_until = NULL
WHERE carrier_code = ANY (:carrier_codes) AND paused_until > now() AND paused_until < 'infinity'
  AND state IN ('open', 'credential_refused');

-- name: due-deadlines
-- The lanes with a deadline that has passed, the oldest first, whatever their state.
SELECT account_id, carrier_code, state FROM lane
WHERE deadline_at <= now() ORDER BY deadline_at LIMIT :most;

-- name: unplanned-lanes
-- Lanes of the version before, whose parcels have no deadlines yet.
SELECT account_id, carrier_code, state FROM lane WHERE deadline_at IS NULL LIMIT :most;
