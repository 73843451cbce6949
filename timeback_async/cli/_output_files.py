"""The files that a run writes: the records that were not saved, and the report."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any, Self

import msgspec

from .._results import ItemResult, Outcome
from ..errors import ConfigError, RecordError
from ..sync import Change, LeftOut
from ..sync._reading.gaps import NONE
from ..sync._reading.json_lines import FAILURE, record_in, written
from ..sync._reading.roster import RECORDS
from ._screen import print_error

__all__ = ["Failures", "ReportFile"]


class Failures:
    """A file of records in wire form, one per line, each with the reason why it was not saved.

    It holds whole records, so only its owner may read it. `upsert` and `sync` can send it again.
    """

    def __init__(self, path: Path, file: RawIOBase) -> None:
        self._path, self._file = path, file
        self._is_full = False

    @classmethod
    @contextmanager
    def opened(cls, path: Path | None) -> Iterator[Self | None]:
        """Open the file before anything is sent; without a path there is no file.

        Raises:
            ConfigError: The file cannot be written.
        """
        if path is None:
            yield None
            return
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        with os.fdopen(number, "wb", buffering=0) as file:
            if stat.S_ISREG(os.fstat(number).st_mode):  # it may have been there before
                path.chmod(0o600)
            yield cls(path, file)

    def write_left_out(self, row: LeftOut) -> None:
        """Add a row of a roster that is left out, with the reason for that."""
        invalid = ItemResult(
            index=0, kind="", sourced_id="", outcome=Outcome.INVALID,
            error=RecordError(row.field, row.reason),
        )  # fmt: skip
        self.write(row, invalid)

    def write(self, failed: Change | LeftOut, result: ItemResult) -> None:
        """Add a record as a line that can be read again. A full disk does not end the run."""
        content = _content(failed)
        if content is None or self._is_full:
            return
        record, more = content
        error = result.error
        failure: dict[str, Any] = {
            "file": failed.file,
            "line": failed.line,
            "outcome": result.outcome,
            "field": error.field if isinstance(error, RecordError) else "",
            "reason": error.reason if isinstance(error, RecordError) else str(error),
            "status": result.status,
            "attempts": result.attempts,
            "request_id": result.request_id,
            **more,
        }
        rest = msgspec.json.encode({**record, FAILURE: failure}) + b"\n"
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as problem:
            self._is_full = True
            print_error(f"{self._path}: {problem.strerror}; the file does not hold every failure")


def _content(failed: Change | LeftOut) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return a record as it is sent again, and what its failure needs for that.

    None for no line at all.
    """
    # What can be sent again:
    #   a line that was left out   -> the JSON object in it, or else its text
    #   a removal                  -> nothing: the next run plans it again
    #   a person with open gaps    -> the record and its gaps: alone, it may delete something
    #   anything else              -> the record
    if isinstance(failed, LeftOut):
        record = record_in(failed.text)
        return record, {} if record else written(failed.text)
    content, gaps = failed.content, failed.gaps
    if content is None or failed.phase == "unlinks":
        return None
    if not isinstance(content, bytes):
        return {failed.kind: msgspec.to_builtins(content)}, {}
    is_open = gaps.from_failure or (gaps != NONE and failed.known.source != RECORDS)
    return {failed.kind: msgspec.Raw(content)}, {"gaps": gaps} if is_open else {}


class ReportFile:
    """The file that holds the page of a report."""

    def __init__(self, path: Path, file: RawIOBase) -> None:
        self._path, self._file = path, file

    @classmethod
    @contextmanager
    def opened(cls, path: Path | None) -> Iterator[Self | None]:
        """Open the file before anything is sent; without a path there is no file.

        Raises:
            ConfigError: The file cannot be written.
        """
        if path is None:
            yield None
            return
        try:
            file = path.open("wb", buffering=0)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        with file:
            yield cls(path, file)

    def write(self, page: str) -> bool:
        """Write the page and return True; print an error and return False where that fails."""
        rest = page.encode(errors="replace")
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            print_error(f"{self._path}: {error.strerror}")
            return False
        return True
