-- The worker forgets what is past its time, the audit too; what is younger than a month it can't
-- take out of it, whatever it is told.
GRANT DELETE ON audit TO milepost_worker;
CREATE POLICY worker_forgets_old_audit ON audit AS RESTRICTIVE FOR DELETE TO milepost_worker
    USING (at < now() - interval '30 days');
