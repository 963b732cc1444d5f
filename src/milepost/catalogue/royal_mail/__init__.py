"""Royal Mail, by its Tracking API."""
