"""TIPSA, by the DinaPaq web services."""
