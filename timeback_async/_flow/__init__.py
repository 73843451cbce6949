"""When a request is sent, and what follows its answer."""
