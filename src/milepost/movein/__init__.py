"""Moving in from another tracking tool: its exports, read as what we know."""
