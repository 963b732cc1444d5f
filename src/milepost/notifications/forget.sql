-- name: telling(after, most)
-- Accounts that ever had something to tell, page by page in key order.
SELECT account_id FROM feed_head WHERE account_id > :after ORDER BY account_id LIMIT :most;
