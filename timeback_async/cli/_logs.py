"""Log lines on stderr, for runs in containers."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

__all__ = ["LogFormat", "logged"]

LogFormat = Literal["text", "json"]


class _JsonFormatter(logging.Formatter):
    """Format a record as one JSON object, with the `fields` from the caller's `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": record.getMessage(),
            }
            | getattr(record, "fields", {})
        )


class _ScreenHandler(logging.Handler):
    """Print each line above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        from ._screen import err

        err.print(self.format(record), markup=False, soft_wrap=True)


@contextmanager
def logged(form: LogFormat | None, verbosity: int = 0) -> Iterator[None]:
    """Log the library's messages on stderr while the block runs.

    Args:
        form: How; None for text, from the first degree of verbosity on.
        verbosity: How much: with a form, everything from 1 on; else from 2 on.
    """
    handler: logging.Handler = logging.NullHandler()  # otherwise Python prints the warnings
    if form is not None:
        handler = logging.StreamHandler(sys.stderr)
    elif verbosity:
        handler = _ScreenHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(_JsonFormatter() if form == "json" else text)
    is_full = verbosity > (form is None)
    logger = logging.getLogger("timeback_async")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if is_full else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
