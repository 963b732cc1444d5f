"""SEUR, by the tracking services of its customers' interface."""
