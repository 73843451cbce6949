"""structlog: the logs of the library in the same JSON as those of the application."""

import logging
import sys
from typing import TextIO

import structlog


def log_as_json(stream: TextIO = sys.stderr) -> None:
    shared = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        )
    )
    timeback = logging.getLogger("timeback_async")
    timeback.addHandler(handler)
    timeback.setLevel(logging.INFO)
