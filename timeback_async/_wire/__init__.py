"""Records and bytes: how a record is checked and encoded, and what an answer means. No I/O."""
