"""CTT Express, by its REST API of shipments."""
