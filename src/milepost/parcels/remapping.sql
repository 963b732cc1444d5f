-- name: parcels-to-reread
-- An account's parcels in the order of their ids, after one of them.
SELECT parcel_id FROM parcel
WHERE account_id = :account_id AND parcel_id > :after
  AND (:carrier_codes::text[] IS NULL OR carrier_code = ANY (:carrier_codes::text[]))
  AND (:since::timestamptz IS NULL OR updated_at >= :since)
ORDER BY parcel_id LIMIT :most;

-- name: own-unmapped
-- An account's own events that no rule read, by carrier and code.
SELECT carrier_code, raw_code, count(*) AS events,
       min(recorded_at) AS first_seen_at, max(recorded_at) AS last_seen_at
FROM event
WHERE account_id = :account_id AND fact #>> '{told,reading,0}' = 'unknown' AND carrier_code <> ''
  AND (:carrier_codes::text[] IS NULL OR carrier_code = ANY (:carrier_codes::text[]))
  AND (:raw_code::text IS NULL OR raw_code = :raw_code)
GROUP BY carrier_code, raw_code ORDER BY carrier_code, raw_code LIMIT :most;

-- name: unmapped-examples
-- The latest of them with each of these codes, as the carrier told them.
SELECT w.place, e.parcel_id, e.recorded_at, e.raw_text
FROM unnest(:carrier_codes::text[], :raw_codes::text[])
    WITH ORDINALITY AS w (carrier_code, raw_code, place)
CROSS JOIN LATERAL (
    SELECT parcel_id, recorded_at, fact #>> '{told,text}' AS raw_text FROM event
    WHERE account_id = :account_id AND fact #>> '{told,reading,0}' = 'unknown'
      AND carrier_code = w.carrier_code AND raw_code = w.raw_code
    ORDER BY recorded_at DESC LIMIT :most
) AS e
ORDER BY w.place, e.recorded_at DESC;

-- name: all-unmapped
-- What the whole installation met, by the carrier that tells it.
SELECT carrier_code, raw_code, seen, first_seen_at, last_seen_at, accepted_at FROM unmapped_code
WHERE :carrier_codes::text[] IS NULL OR carrier_code = ANY (:carrier_codes::text[])
ORDER BY carrier_code, raw_code;
