"""Room: db."""
