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
