"""The command `timeback-async`, which needs the extra `cli`."""

import io
import os
import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with the exit code of the command."""
    _open_standard_streams()
    try:
        from ._app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(f"{error.name} is not installed: pip install 'timeback-async[cli]'", file=sys.stderr)
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # cp1252 cannot encode the blocks of a chart
            stream.reconfigure(errors="replace")
    try:
        try:
            app()
        finally:
            signal.signal(
                signal.SIGINT, signal.SIG_IGN
            )  # all output is done; a traceback would not help
            sys.stdout.flush()
    except OSError as error:
        print(f"error: cannot write the output: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the rest of the output
        sys.exit(1)


def _open_standard_streams() -> None:
    """Open those that the caller has closed (`<&-`): a socket in their place ends the process."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:  # the lowest free number is this one
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - until the end
