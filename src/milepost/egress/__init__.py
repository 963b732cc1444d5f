"""Requests to addresses that customers give us."""
