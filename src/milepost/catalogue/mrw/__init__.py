"""MRW, by its TrackingServices."""
