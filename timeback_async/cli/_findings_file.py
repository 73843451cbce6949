"""The file of findings: every one of them, one to a line, without a person's values.

What left something out comes first, then the warnings, then the notes.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import IO, Any, Self

import msgspec

from ..errors import ConfigError
from ..sync import Finding
from ..sync._reading.codes import CODES
from ._options import FINDINGS_COLUMNS
from ._options_words import as_flags
from ._private_file import PrivateFile

__all__ = ["FindingsFile"]

LINES_AT_ONCE = 500
MOST_IN_MEMORY = 1 << 20  # bytes
# A spreadsheet runs a cell that begins with one of these as a formula; ids come from anybody.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")

Encode = Callable[[Sequence[dict[str, Any]]], bytes]


@contextmanager
def _temporary_file() -> Iterator[IO[bytes]]:
    file = SpooledTemporaryFile(MOST_IN_MEMORY)  # noqa: SIM115
    try:
        yield file
    finally:
        with suppress(OSError):  # the disk is full: that was said, and the file is no longer needed
            file.close()


class FindingsFile:
    """Takes findings as they come, from any thread, in memory that does not grow with them."""

    def __init__(self, file: PrivateFile, encode: Encode, stack: ExitStack) -> None:
        self._file, self._encode = file, encode
        self._lock = Lock()
        self._is_closed = False
        self._waiting: dict[str, list[dict[str, Any]]] = {"error": [], "warning": [], "note": []}
        # Errors go to the file at once. The others wait, so that they come after them.
        self._later = {
            severity: stack.enter_context(_temporary_file()) for severity in ("warning", "note")
        }

    @classmethod
    @contextmanager
    def opened(cls, path: Path | None) -> Iterator[Self | None]:
        """Open the file before anything is read; without a path there is no file.

        Raises:
            ConfigError: The file cannot be written, or its name says no form.
        """
        if path is None:
            yield None
            return
        encode = FORMS.get(path.suffix.lower())
        if encode is None:
            raise ConfigError(f"{path}: must end in .csv or .jsonl")
        loss = "; the file does not hold every finding"
        with PrivateFile.opened(path, loss) as file, ExitStack() as stack:
            if encode is _as_csv:
                file.write(",".join(FINDINGS_COLUMNS).encode() + b"\r\n")
            findings = cls(file, encode, stack)
            try:
                yield findings
            finally:
                findings.finish()
                findings._is_closed = True

    @property
    def is_whole(self) -> bool:
        """Whether the file holds every finding so far."""
        return not self._file.is_full

    def add(self, finding: Finding) -> None:
        """Take a finding."""
        row = finding.as_dict()
        row["advice"] = _advice(finding.code)
        with self._lock:
            waiting = self._waiting[finding.severity]
            waiting.append(row)
            if len(waiting) >= LINES_AT_ONCE:
                self._flush(finding.severity)

    def finish(self) -> None:
        """Write everything that was taken so far."""
        with self._lock:
            for severity in self._waiting:
                self._flush(severity)
            for later in self._later.values():
                self._copy(later)

    def _copy(self, later: IO[bytes]) -> None:
        """Write what waits in a temporary file, in blocks of whole lines."""
        if self._file.is_full:
            return
        try:
            later.seek(0)
            while block := later.read(MOST_IN_MEMORY) + later.readline():
                self._file.write(block)
            later.seek(0)
            later.truncate()
        except OSError as error:  # the temporary file had not been written to its end
            self._file.fail(error)

    def _flush(self, severity: str) -> None:
        rows, self._waiting[severity] = self._waiting[severity], []
        if not rows or self._is_closed or self._file.is_full:
            return
        block = self._encode(rows)
        if severity not in self._later:
            self._file.write(block)
            return
        try:
            self._later[severity].write(block)
        except OSError as error:
            self._file.fail(error)


@cache
def _advice(code: str) -> str:
    """Return what to do about findings of a code, with the command's names of options."""
    return as_flags(CODES[code].advice)


def _as_json_lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        row["accepted"] = "yes" if row["accepted"] else ""
        row["line"] = row["line"] or ""
        writer.writerow([_harmless(str(row[name])) for name in FINDINGS_COLUMNS])
    return text.getvalue().encode(errors="replace")


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell


FORMS: dict[str, Encode] = {
    ".csv": _as_csv, ".jsonl": _as_json_lines, ".ndjson": _as_json_lines
}  # fmt: skip
