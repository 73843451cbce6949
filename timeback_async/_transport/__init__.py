"""Send one request on the wire, once."""
