"""Spring GDS, by the TrackShipment command of its XBS API."""
