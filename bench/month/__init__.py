"""A simulated month of asking carriers: the real cadence and spacing on a virtual clock."""
