"""InPost Italy, by the Group API."""
