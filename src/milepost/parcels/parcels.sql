-- name: newest-by-carrier^
-- The newest parcel of a number at one carrier.
SELECT parcel_id FROM tracked_number
WHERE account_id = :account_id AND number_key = :number_key AND carrier_code = :carrier_code
ORDER BY parcel_id DESC LIMIT 1;

-- name: newest^
-- The newest parcel of a number at any carrier.
SELECT parcel_id FROM tracked_number
WHERE account_id = :account_id AND number_key = :number_key
ORDER BY parcel_id DESC LIMIT 1;

-- name: check-times
-- When the carriers of some parcels last answered and are asked next; a closed lane asks nobody,
-- and a parcel that is being asked is due now.
SELECT w.parcel_id, w.last_checked_at,
       nullif(CASE WHEN w.lease_until > now() THEN now()
                   ELSE greatest(w.due_at, l.paused_until) END, 'infinity') AS next_check_at
FROM watch w
LEFT JOIN lane l ON l.account_id = w.account_id AND l.carrier_code = w.carrier_code
WHERE w.account_id = :account_id AND w.parcel_id = ANY (:parcel_ids);
