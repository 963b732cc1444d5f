"""Correos, by its Trackpub API."""
