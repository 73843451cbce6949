"""When a request is sent, and what follows from its answer."""
