"""PostNord, by its Track and Trace API."""
