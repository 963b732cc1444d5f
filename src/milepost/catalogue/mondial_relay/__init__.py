"""Mondial Relay, by the tracking of its web service for shops (API 1)."""
