"""Many records, with one result for each."""
