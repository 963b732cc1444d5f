"""InPost Poland, by the public tracking of ShipX."""
