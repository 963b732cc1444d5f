"""bpost, by the tracking of its Announcement and Tracking API."""
