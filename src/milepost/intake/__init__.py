"""WHAT IS BROUGHT TO US: pushes of carriers, their feeds of changes, and files."""
