"""Milepost: self-hosted parcel tracking."""
