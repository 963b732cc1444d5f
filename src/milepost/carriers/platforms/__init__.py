"""Room: platforms."""
