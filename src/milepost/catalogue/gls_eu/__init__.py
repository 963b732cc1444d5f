"""GLS, by the Track and Trace API of the group."""
