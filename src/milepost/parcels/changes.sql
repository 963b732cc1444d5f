-- name: lock_parcel(account_id, parcel_id)^
-- A parcel that nobody else may change until this transaction ends.
SELECT parcel_id, carrier_code, tracking_number, stopped_at, ended_at, is_current FROM parcel
WHERE account_id = :account_id AND parcel_id = :parcel_id FOR UPDATE;

-- name: change_parcel(account_id, parcel_id, revision, carrier_code, tracking_number, source_id, request, announced_at, state, now)^
-- Puts a changed registration in the place of the one that was read; no row where somebody was
-- faster. What is shown is rendered anew when it is next read.
UPDATE parcel SET
    revision = revision + 1,
    carrier_code = :carrier_code,
    tracking_number = :tracking_number,
    source_id = :source_id,
    request = :request,
    announced_at = :announced_at,
    updated_at = :now,
    phase = :state::jsonb ->> 'phase',
    exception = :state::jsonb ->> 'exception',
    status_type = :state::jsonb ->> 'status_type',
    sub_status = :state::jsonb ->> 'sub_status',
    status = :state::jsonb ->> 'status',
    status_at = (:state::jsonb ->> 'status_at')::timestamptz,
    first_scan_at = (:state::jsonb ->> 'first_scan_at')::timestamptz,
    last_scan_at = (:state::jsonb ->> 'last_scan_at')::timestamptz,
    ended_at = (:state::jsonb ->> 'ended_at')::timestamptz,
    render_epoch = -1
WHERE account_id = :account_id AND parcel_id = :parcel_id AND revision = :revision
RETURNING is_current, stopped_at;

-- name: name_holders(account_id, carrier_code, number_key, source_id, reusable_before)
-- The parcels that have a parcel's new names, itself perhaps among them.
SELECT h.parcel_id, h.name, h.is_over
FROM holders_of(
    :account_id, ARRAY[1], ARRAY[:carrier_code::text], ARRAY[:number_key::text],
    ARRAY[:source_id::text], :reusable_before::timestamptz) AS h
ORDER BY h.name DESC;

-- name: retire(account_id, parcels, reusable_before)$
-- Takes their names from parcels that have been over for long enough.
SELECT retire_parcels(:account_id, :parcels::bigint[], :reusable_before::timestamptz);

-- name: give_up_numbers(account_id, parcel_id, number_key)!
-- The numbers a parcel had before still find it, and others may have them.
UPDATE tracked_number SET is_current = false
WHERE account_id = :account_id AND parcel_id = :parcel_id AND kind = 'number'
  AND number_key <> :number_key AND is_current;

-- name: take_number(account_id, parcel_id, carrier_code, number_key, is_current)!
-- The number a parcel is known by from now on.
INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind, is_current)
VALUES (:account_id, :parcel_id, :carrier_code, :number_key, 'number', :is_current)
ON CONFLICT (account_id, parcel_id, kind, number_key)
DO UPDATE SET carrier_code = excluded.carrier_code, is_current = excluded.is_current;

-- name: drop_identifiers(account_id, parcel_id)!
-- Forgets the aliases of a parcel.
DELETE FROM tracked_number
WHERE account_id = :account_id AND parcel_id = :parcel_id AND kind = 'identifier';

-- name: take_identifier(account_id, parcel_id, carrier_code, number_key)!
-- An alias a parcel is found by.
INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
VALUES (:account_id, :parcel_id, :carrier_code, :number_key, 'identifier');

-- name: move_watch(account_id, parcel_id, carrier_code, due)!
-- Another carrier or number is asked: what the old one said no longer counts, nor does an answer
-- that is on its way.
UPDATE watch SET
    carrier_code = :carrier_code, fence = fence + 1, lease_until = NULL, misses = 0,
    answer_hash = NULL, last_checked_at = NULL,
    due_at = CASE WHEN :due THEN now() ELSE due_at END
WHERE account_id = :account_id AND parcel_id = :parcel_id;

-- name: keep_words(account_id, parcel_id, words)!
-- What a parcel is found by when it is searched for.
INSERT INTO parcel_search (account_id, parcel_id, words)
VALUES (:account_id, :parcel_id, array_to_tsvector(:words::text[]))
ON CONFLICT (account_id, parcel_id) DO UPDATE SET words = excluded.words;

-- name: plan_lane(account_id, carrier_code)!
-- The lane's turn comes at once, unless it is paused.
SELECT plan_lane(:account_id, :carrier_code, now());

-- name: ask_now(account_id, parcel_id)!
-- Due now; one that is being asked about is left to who does it.
UPDATE watch SET due_at = now()
WHERE account_id = :account_id AND parcel_id = :parcel_id
  AND due_at > now() AND coalesce(lease_until < now(), true);

-- name: stop_parcel(account_id, parcel_id, reason, now)!
-- Nobody is asked about the parcel any more.
UPDATE parcel SET
    revision = revision + 1, updated_at = :now, stopped_at = :now, stop_reason = :reason,
    render_epoch = -1
WHERE account_id = :account_id AND parcel_id = :parcel_id;

-- name: rest_watch(account_id, parcel_id)!
-- Takes a parcel off the schedule; an answer that is on its way no longer counts.
UPDATE watch SET due_at = 'infinity', fence = fence + 1, lease_until = NULL
WHERE account_id = :account_id AND parcel_id = :parcel_id;

-- name: resume_parcel(account_id, parcel_id, now)!
-- The parcel is watched again.
UPDATE parcel SET
    revision = revision + 1, updated_at = :now, stopped_at = NULL, stop_reason = '',
    render_epoch = -1
WHERE account_id = :account_id AND parcel_id = :parcel_id;

-- name: wake_watch(account_id, parcel_id)!
-- On the schedule again, due now.
UPDATE watch SET due_at = now(), misses = 0
WHERE account_id = :account_id AND parcel_id = :parcel_id;

-- name: note(account_id, actor, action, parcel_id, detail)!
-- Writes down who changed what; never a person's data.
INSERT INTO audit (account_id, actor, action, parcel_id, detail)
VALUES (:account_id, :actor, :action, :parcel_id, :detail);

-- name: receipt(account_id, parcel_id)^
-- What is left of an erased parcel.
SELECT parcel_id, erased_at, actor, counts FROM erasure
WHERE account_id = :account_id AND parcel_id = :parcel_id;

-- name: hold_usage(account_id)$
-- Keeps the account's parcels from being counted until the end of this transaction; up to which one
-- they are.
INSERT INTO usage_mark AS m (account_id, parcel_id) VALUES (:account_id, 0)
ON CONFLICT (account_id) DO UPDATE SET parcel_id = m.parcel_id
RETURNING parcel_id;

-- name: count_uncounted(account_id, parcel_id, counted)!
-- Counts one parcel that nobody has counted yet, before it is gone.
INSERT INTO usage_day AS d (account_id, day, carrier_code, shipping_option, parcels, last_at)
SELECT p.account_id, (p.created_at AT TIME ZONE 'UTC')::date, p.carrier_code,
       coalesce(p.request #>> '{ship_with,properties,shipping_option_code}', ''), 1, p.created_at
FROM parcel p
WHERE p.account_id = :account_id AND p.parcel_id = :parcel_id AND p.parcel_id > :counted
ON CONFLICT (account_id, day, carrier_code, shipping_option) DO UPDATE
SET parcels = d.parcels + 1, last_at = greatest(d.last_at, excluded.last_at);

-- name: erase_outbox(account_id, parcel_id)$
-- What was to be told about it.
WITH gone AS (
    DELETE FROM outbox WHERE account_id = :account_id AND parcel_id = :parcel_id RETURNING 1
)
SELECT count(*) FROM gone;

-- name: tell_erasure(account_id, parcel_id)!
-- Readers of the feed hear that it is gone: what they keep of it is theirs to erase. Of no event: 0.
INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)
VALUES (:account_id, :parcel_id, 0, 'erased', now());

-- name: erase_told(account_id, parcel_id)$
-- Takes back what was said of it to anybody.
SELECT forget_told(:account_id, :parcel_id);

-- name: erase_words(account_id, parcel_id)$
-- What it was found by.
WITH gone AS (
    DELETE FROM parcel_search WHERE account_id = :account_id AND parcel_id = :parcel_id RETURNING 1
)
SELECT count(*) FROM gone;

-- name: erase_watch(account_id, parcel_id)$
-- Its schedule.
WITH gone AS (
    DELETE FROM watch WHERE account_id = :account_id AND parcel_id = :parcel_id RETURNING 1
)
SELECT count(*) FROM gone;

-- name: erase_pushes(account_id, parcel_id)$
-- What carriers told about it by themselves, as far as that was not told on: by its numbers, as they
-- were read or, a long one, as they stand in the payload, in small letters or with blanks as well
-- (LATIN1 makes text of any bytes). One about several parcels goes as a whole.
WITH gone AS (
    DELETE FROM push_payload p
    WHERE p.account_id = :account_id AND EXISTS (
        SELECT FROM tracked_number n
        WHERE n.account_id = :account_id AND n.parcel_id = :parcel_id
          AND (n.number_key = ANY (p.numbers)
               OR (length(n.number_key) > 5
                   AND position(n.number_key IN upper(
                           replace(convert_from(p.payload, 'LATIN1'), ' ', ''))) > 0)))
    RETURNING 1
)
SELECT count(*) FROM gone;

-- name: erase_numbers(account_id, parcel_id)$
-- Its numbers, old and new.
WITH gone AS (
    DELETE FROM tracked_number WHERE account_id = :account_id AND parcel_id = :parcel_id RETURNING 1
)
SELECT count(*) FROM gone;

-- name: erase_events(account_id, parcel_id)$
-- Its events.
WITH gone AS (
    DELETE FROM event WHERE account_id = :account_id AND parcel_id = :parcel_id RETURNING 1
)
SELECT count(*) FROM gone;

-- name: erase_payloads(account_id, parcel_id)$
-- What the carrier really answered.
WITH gone AS (
    DELETE FROM raw_payload WHERE account_id = :account_id AND parcel_id = :parcel_id RETURNING 1
)
SELECT count(*) FROM gone;

-- name: erase_parcel(account_id, parcel_id)$
-- The parcel itself.
WITH gone AS (
    DELETE FROM parcel WHERE account_id = :account_id AND parcel_id = :parcel_id RETURNING 1
)
SELECT count(*) FROM gone;

-- name: keep_receipt(account_id, parcel_id, erased_at, actor, counts)!
-- Says for ever that the parcel was erased, and holds nothing of it.
INSERT INTO erasure (account_id, parcel_id, erased_at, actor, counts)
VALUES (:account_id, :parcel_id, :erased_at, :actor, :counts);
