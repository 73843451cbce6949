"""`python -m timeback_async` is the command `timeback-async`."""

from .cli import main

main()
