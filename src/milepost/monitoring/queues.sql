-- name: lane-ages
-- Each lane with the age of its first parcel due; as milepost_admin, in a transaction.
SELECT account_id, carrier_code, state, paused, due_seconds FROM lane_ages(:most);

-- name: lane-count$
-- How many lanes there are.
SELECT count(*) FROM lane;

-- name: deadline-age$
-- For how many seconds the first deadline has been over that nobody has looked at yet (0: none has).
SELECT greatest(0, coalesce(extract(epoch FROM now() - nullif(min(deadline_at), 'infinity')), 0))::double precision
FROM lane;

-- name: held-carriers
-- Carriers that may not be asked now, by whose credential: they asked for a rest, or their breaker is open (one that could have been probed for an hour holds nobody: there is nothing to ask).
SELECT carrier_code, owner, coalesce(open_until > now() - interval '1 hour', false) AS breaker_open
FROM carrier_budget WHERE paused_until > now() OR open_until > now() - interval '1 hour';

-- name: stopped-carriers
-- Carriers the operator wants nobody to ask.
SELECT carrier_code FROM carrier_pause ORDER BY carrier_code;

-- name: outbox-age$
-- The age of the oldest row nobody has told yet, in seconds.
SELECT outbox_age(:most);

-- name: intake-ages
-- What carriers told and nobody has told on, by why, and how long the first of it has been due.
SELECT state, payloads, due_seconds FROM intake_ages(:most);

-- name: jobs
-- Regular jobs: how long ago each was begun and ended well, and whether it failed since.
SELECT name, extract(epoch FROM now() - finished_at)::double precision AS success_seconds,
       extract(epoch FROM now() - started_at)::double precision AS started_seconds,
       (lease_until <= now() AND (finished_at IS NULL OR finished_at < started_at)) AS failed
FROM job ORDER BY name;
