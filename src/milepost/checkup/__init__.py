"""Room: checkup."""
