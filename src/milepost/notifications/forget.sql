-- name: telling(after, most)
-- Accounts that ever had something to tell, page by page in key order.
SELECT account_id FROM feed_head WHERE account_id > :after ORDER BY account_id LIMIT :most;

-- name: forget_mail_counts(account_id)!
-- How many letters somebody got is asked of today alone.
DELETE FROM mail_count
WHERE account_id = :account_id AND counted_from < now() - interval '2 days';
