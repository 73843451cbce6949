"""Turn records into bytes, and answers into records and errors. No I/O."""
