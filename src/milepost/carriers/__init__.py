"""Room: carriers."""
