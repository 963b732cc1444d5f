"""Trunkrs."""
