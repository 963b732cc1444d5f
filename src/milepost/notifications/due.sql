-- name: due^
-- Whether some outbox holds something, and whether some lane's turn has come. The outbox is looked through as it lies, and by no index (that is what the parcel's id is asked for): while somebody holds a snapshot open the rows that are told stay, and each costs four times as much by the index.
SELECT EXISTS (SELECT FROM outbox WHERE parcel_id > 0) AS outbox,
       EXISTS (SELECT FROM delivery_lane WHERE state = 'open' AND turn_at <= now()) AS lanes;
