"""The command `timeback-async`; it needs the extra `cli`."""

import io
import os
import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from ._app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(f"{error.name} is not installed: pip install 'timeback-async[cli]'", file=sys.stderr)
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file in cp1252 has no blocks for a chart
            stream.reconfigure(errors="replace")
    try:
        try:
            app()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said: no traceback on top of it
            sys.stdout.flush()
    except OSError as error:
        print(f"error: the output could not be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left of it
        sys.exit(1)
