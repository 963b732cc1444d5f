-- name: read_feed(account_id, after, most)
-- What an account's feed tells beyond a number, in its order, and the feed's bounds.
SELECT * FROM read_feed(:account_id, :after, :most);

-- name: feed_heads(account_ids)
-- The last numbers of several accounts' feeds.
SELECT account_id, feed_seq FROM feed_heads(:account_ids::bigint[]);
