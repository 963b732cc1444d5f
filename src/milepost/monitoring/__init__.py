"""Room: monitoring."""
