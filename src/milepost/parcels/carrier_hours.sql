-- name: own-hours
-- How asking a carrier about an account's parcels went, by hour.
SELECT hour, found, not_found, refused, broken, events, unmapped, lags FROM carrier_hour
WHERE account_id = :account_id AND carrier_code = :carrier_code AND hour >= :since;

-- name: all-hours
-- How asking a carrier went for everybody (operator only).
SELECT hour, found, not_found, refused, broken, events, unmapped, lags FROM carrier_hour
WHERE carrier_code = :carrier_code AND hour >= :since;
