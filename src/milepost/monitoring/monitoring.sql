-- name: due-lanes
-- The lanes whose turn has come, longest waiting first; read without a lock, for claims lock rows.
SELECT account_id, carrier_code, state FROM lane WHERE turn_at <= now() ORDER BY turn_at LIMIT :most;

-- name: closed-lanes
-- Lanes nobody asks for, by reason, to see whether the reason still holds.
SELECT account_id, carrier_code, state FROM lane
WHERE state IN ('not_supported', 'waiting_for_credentials') AND (account_id, carrier_code) > (:account_id, :carrier_code)
ORDER BY account_id, carrier_code LIMIT :most;

-- name: open-lanes
-- Lanes that have turns and whose next one lies ahead, to see whether a row is due before it.
SELECT account_id, carrier_code FROM lane
WHERE state IN ('open', 'credential_refused') AND turn_at > now() AND (account_id, carrier_code) > (:account_id, :carrier_code)
ORDER BY account_id, carrier_code LIMIT :most;
