"""Poste Italiane, by the tracking of Poste Delivery Business."""
