-- Carriers that told this installation of a parcel: no catalogue can know that asking them works.
CREATE TABLE carrier_live (
    carrier_code text PRIMARY KEY COLLATE "C",
    live_since timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON carrier_live TO milepost_app, milepost_worker, milepost_admin;
GRANT INSERT ON carrier_live TO milepost_worker;
