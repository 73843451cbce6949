"""The command `timeback-async`; it needs the extra `cli`."""

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
    try:
        app()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said: no traceback on top of it
