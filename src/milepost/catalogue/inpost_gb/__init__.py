"""InPost UK, by the Group API."""
