"""Measure timeback_async, and compare it with other tools. `python -m benchmarks` runs it all."""
