-- What carriers' answers hold that the catalogue does not know: the names of fields and languages,
-- never what stands in them. Platform table: no account. Codes are in unmapped_code; what the operator
-- has accepted raises no alarm any more.
CREATE TABLE carrier_drift (
    carrier_code text NOT NULL COLLATE "C",
    kind text NOT NULL COLLATE "C",
    what text NOT NULL COLLATE "C",
    seen bigint NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    accepted_at timestamptz,
    PRIMARY KEY (carrier_code, kind, what)
);
GRANT SELECT ON carrier_drift TO milepost_app, milepost_worker, milepost_admin;
GRANT INSERT, UPDATE ON carrier_drift TO milepost_worker, milepost_admin;
GRANT DELETE ON carrier_drift TO milepost_admin;

ALTER TABLE unmapped_code ADD COLUMN accepted_at timestamptz;
