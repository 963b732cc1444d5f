"""InPost Spain, by the Group API."""
