"""Chronopost, by its public tracking service."""
