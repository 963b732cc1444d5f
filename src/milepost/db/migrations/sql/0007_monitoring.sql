-- Work that one process does for all of them, now and then: who has it in hand and until when, and
-- how it last ended. Platform table: no account.
CREATE TABLE job (
    name text PRIMARY KEY COLLATE "C",
    holder text NOT NULL,
    lease_until timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome jsonb
);
GRANT SELECT, INSERT, UPDATE ON job TO milepost_app, milepost_worker, milepost_admin;
