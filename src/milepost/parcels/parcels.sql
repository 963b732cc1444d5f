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

-- name: holders-of-number
-- The current parcels that are known by a number now, at some carriers or (null) at any.
SELECT n.parcel_id, n.carrier_code FROM tracked_number n
WHERE n.account_id = :account_id AND n.number_key = :number_key AND n.kind = 'number'
  AND n.is_current
  AND (:carrier_codes::text[] IS NULL OR n.carrier_code = ANY (:carrier_codes::text[]))
ORDER BY n.parcel_id;

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

-- name: used-options
-- The shipping options of an account's parcels: counted ones, and those not yet counted.
SELECT u.shipping_option, u.carrier_code, sum(u.parcels)::bigint AS parcels, max(u.last_at) AS last_at
FROM (
    SELECT d.shipping_option, d.carrier_code, d.parcels, d.last_at FROM usage_day d
    WHERE d.account_id = :account_id
    UNION ALL
    SELECT p.request #>> '{ship_with,properties,shipping_option_code}', p.carrier_code, count(*),
           max(p.created_at)
    FROM parcel p
    WHERE p.account_id = :account_id AND p.parcel_id > coalesce(
        (SELECT m.parcel_id FROM usage_mark m WHERE m.account_id = :account_id), 0)
    GROUP BY 1, 2
) AS u
WHERE u.shipping_option <> ''
GROUP BY u.shipping_option, u.carrier_code
ORDER BY max(u.last_at) DESC, u.shipping_option, u.carrier_code;

-- name: registered-by-day
-- Registrations by UTC day and carrier from a day on: counted ones, and those not yet counted.
SELECT u.day, u.carrier_code, sum(u.parcels)::bigint AS parcels
FROM (
    SELECT d.day, d.carrier_code, d.parcels FROM usage_day d
    WHERE d.account_id = :account_id AND d.day >= :since
    UNION ALL
    SELECT (p.created_at AT TIME ZONE 'UTC')::date, p.carrier_code, count(*) FROM parcel p
    WHERE p.account_id = :account_id AND p.parcel_id > coalesce(
        (SELECT m.parcel_id FROM usage_mark m WHERE m.account_id = :account_id), 0)
    GROUP BY 1, 2
) AS u
WHERE u.day >= :since
GROUP BY u.day, u.carrier_code ORDER BY u.day DESC, u.carrier_code;

-- name: checked-by-day
-- Parcels that carriers were asked about by UTC day and carrier from a day on.
SELECT day, carrier_code, checks FROM check_day
WHERE account_id = :account_id AND day >= :since AND checks > 0
ORDER BY day DESC, carrier_code;

-- name: watched-by-carrier
-- How many parcels of an account are still asked about; nobody asks through a closed lane.
SELECT w.carrier_code, count(*) AS parcels FROM watch w
WHERE w.account_id = :account_id AND w.due_at < 'infinity' AND w.carrier_code IN (
    SELECT l.carrier_code FROM lane l
    WHERE l.account_id = :account_id AND l.turn_at < 'infinity')
GROUP BY w.carrier_code ORDER BY w.carrier_code;

-- name: accounts-with-parcels
-- The accounts after :after that ever registered a parcel, in order of their ids.
SELECT DISTINCT l.account_id FROM lane l WHERE l.account_id > :after
ORDER BY l.account_id LIMIT :most;

-- name: lane-histories
-- What was learnt of an account's parcels at one carrier, by the countries they went between.
SELECT origin_country, destination_country, statistics FROM lane_history
WHERE account_id = :account_id AND carrier_code = :carrier_code;

-- name: keep-lane-history!
-- Puts what was learnt in the place of what was known.
INSERT INTO lane_history (account_id, carrier_code, origin_country, destination_country, learnt_at, statistics)
VALUES (:account_id, :carrier_code, :origin_country, :destination_country, :learnt_at, :statistics)
ON CONFLICT (account_id, carrier_code, origin_country, destination_country)
DO UPDATE SET learnt_at = excluded.learnt_at, statistics = excluded.statistics;

-- name: raw-payloads
-- The carrier's answers about a parcel that are kept, oldest first.
SELECT fetched_at, content_type, payload FROM raw_payload
WHERE account_id = :account_id AND parcel_id = :parcel_id ORDER BY fetched_at;

-- name: carriers-of-late
-- With whom an account's latest parcels went and to which country; how many, and of those how many
-- a carrier told a scan of.
SELECT l.carrier_code, l.country, count(*) AS parcels, count(l.first_scan_at) AS scanned
FROM (
    SELECT p.carrier_code, p.request -> 'to_address' ->> 'country_code' AS country, p.first_scan_at
    FROM parcel p WHERE p.account_id = :account_id
    ORDER BY p.parcel_id DESC LIMIT :most
) AS l
GROUP BY l.carrier_code, l.country;
