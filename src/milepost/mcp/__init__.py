"""The door for agents: a client of our own HTTP API that speaks the Model Context Protocol."""
