"""UPS, by its Track API."""
