"""Make a plan of a roster and of what earlier runs did: what to send, and what to remove."""
