"""Keep the records that did not make it in a file, for their owner alone, to send them again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any, Self

import msgspec

from .._results import ItemResult
from ..errors import ConfigError, RecordError
from ._input import FAILURE, Entry
from ._screen import print_error

__all__ = ["Failures"]


class Failures:
    """A file of records in wire form, one to a line, with what went wrong beside each."""

    def __init__(self, path: Path, file: RawIOBase) -> None:
        self._path, self._file = path, file
        self._is_full = False

    @classmethod
    @contextmanager
    def opened(cls, path: Path | None) -> Iterator[Self | None]:
        """Open the file, readable by its owner alone: it holds whole records. None for no file.

        Raises:
            ConfigError: It cannot be written.
        """
        if path is None:
            yield None
            return
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        with os.fdopen(number, "wb", buffering=0) as file:
            path.chmod(0o600)  # it may have been there before
            yield cls(path, file)

    def write(self, entry: Entry, result: ItemResult) -> None:
        """Add a record, in a line that can be read again. A full disk does not end the run."""
        error = result.error
        failure: dict[str, Any] = {
            "file": entry.file,
            "line": entry.line,
            "outcome": result.outcome,
            "field": error.field if isinstance(error, RecordError) else "",
            "reason": error.reason if isinstance(error, RecordError) else str(error),
            "status": result.status,
            "attempts": result.attempts,
            "request_id": result.request_id,
        }
        if entry.text:
            failure["text"] = entry.text
        record = entry.record if isinstance(entry.record, dict) else {}
        if self._is_full:
            return
        try:
            self._file.write(msgspec.json.encode({**record, FAILURE: failure}) + b"\n")
        except OSError as problem:
            self._is_full = True
            why = f"{self._path}: {problem.strerror}; it does not hold every failure"
            print_error(why)
