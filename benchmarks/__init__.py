"""What timeback_async costs, beside what people use today. `python -m benchmarks` runs it all."""
