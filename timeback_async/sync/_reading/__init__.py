"""Files become a roster: open, decode, map and check, and report what was found."""
