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


@contextmanager
def logged(form: LogFormat | None) -> Iterator[None]:
    """Log the library's messages on stderr while the block runs; None: do not log."""
    if form is None:
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(_JsonFormatter() if form == "json" else text)
    logger = logging.getLogger("timeback_async")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
