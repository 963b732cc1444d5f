"""Room: parcels."""
