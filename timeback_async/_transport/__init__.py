"""One request on the wire, once."""
