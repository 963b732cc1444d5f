-- name: due_lanes(most)
-- Connections with something to deliver, the longest due first.
SELECT account_id, connection_id FROM delivery_lane
WHERE state = 'open' AND turn_at <= now() ORDER BY turn_at LIMIT :most;

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
