"""Run the command `timeback-async` as `python -m timeback_async`."""

from .cli import main

main()
