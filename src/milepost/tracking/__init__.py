"""Room: tracking."""
