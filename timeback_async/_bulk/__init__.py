"""Many records, one result for each."""
