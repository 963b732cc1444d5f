-- What waits for a connection may be very much when nobody asks for it any more. It is given up a
-- piece at a time, and meanwhile the lane is shut: up to this delivery nothing is sent. Null: nothing
-- is being given up.
ALTER TABLE delivery_lane ADD COLUMN gives_up_to bigint;
CREATE INDEX delivery_lane_giving_up ON delivery_lane (account_id, connection_id)
WHERE gives_up_to IS NOT NULL;
