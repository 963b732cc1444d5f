-- name: due^
-- Whether some outbox holds something, and whether some lane's turn has come: a look into two indexes.
SELECT EXISTS (SELECT FROM outbox_accounts(0, 1)) AS outbox,
       EXISTS (SELECT FROM delivery_lane WHERE state = 'open' AND turn_at <= now()) AS lanes;
