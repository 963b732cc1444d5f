"""Hermes Germany, by the HSI (Hermes Shipping Interface)."""
