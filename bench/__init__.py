"""The benchmark suite: what Milepost costs beside limits measured in the same run.

``python -m bench`` (or ``make bench``) prints one table and writes one JSON file.
"""
