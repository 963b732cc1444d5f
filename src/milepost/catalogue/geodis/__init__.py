"""GEODIS, by the tracking of its customer area (Zoom)."""
