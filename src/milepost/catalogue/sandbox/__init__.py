"""The sandbox: a simulated carrier whose numbers name stories."""
