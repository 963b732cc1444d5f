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

-- name: export-page
-- The next parcels of an account in the order they came, each with whether it is wanted: a filter
-- that finds little still reads a bounded piece.
SELECT p.parcel_id,
       (:carrier_code::text IS NULL OR p.carrier_code = :carrier_code)
       AND (:status::text IS NULL OR p.status = :status)
       AND (:created_from::timestamptz IS NULL OR p.created_at >= :created_from)
       AND (:created_before::timestamptz IS NULL OR p.created_at < :created_before)
       AND (:updated_from::timestamptz IS NULL OR p.updated_at >= :updated_from) AS wanted
FROM parcel p
WHERE p.account_id = :account_id AND p.parcel_id > :after
ORDER BY p.parcel_id LIMIT :most;

-- name: parcels-of-number
-- Every parcel that ever had a number, oldest first.
SELECT DISTINCT n.parcel_id FROM tracked_number n
WHERE n.account_id = :account_id AND n.number_key = :number_key
ORDER BY n.parcel_id;

-- name: tables-about-parcels
-- Every table with rows about single parcels, found in the catalogue so that none is forgotten.
SELECT c.relname FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'parcel_id' AND NOT a.attisdropped
JOIN pg_attribute b ON b.attrelid = c.oid AND b.attname = 'account_id' AND NOT b.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition
ORDER BY c.relname;
