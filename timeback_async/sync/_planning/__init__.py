"""A roster and what earlier runs did become a plan: what to send, and what never by accident."""
