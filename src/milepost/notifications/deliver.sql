-- name: due_lanes(most, failing)
-- Connections with something to deliver: those that do well, the longest due first, then those that fail.
(SELECT account_id, connection_id, false AS fails, turn_at FROM delivery_lane
 WHERE state = 'open' AND turn_at <= now() AND failures = 0 ORDER BY turn_at LIMIT :most)
UNION ALL
(SELECT account_id, connection_id, true, turn_at FROM delivery_lane
 WHERE state = 'open' AND turn_at <= now() AND failures > 0 ORDER BY turn_at LIMIT :failing)
ORDER BY fails, turn_at;

-- name: take_lane(account_id, connection_id, lease, most)
-- Takes a lane under a lease, or nothing: its row, and then what is due there.
SELECT * FROM take_lane(:account_id, :connection_id, :lease, :most);

-- name: keep_lane(account_id, connection_id, fence, revision, lease, in_hand, most)
-- What is due on a lane that is held; the last row says whether it is.
SELECT * FROM keep_lane(
    :account_id, :connection_id, :fence, :revision, :lease, :in_hand::bigint[], :most);

-- name: leave_lane(account_id, connection_id, fence)$
-- Lets a lane go.
SELECT leave_lane(:account_id, :connection_id, :fence);
