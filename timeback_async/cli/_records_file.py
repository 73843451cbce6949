"""A file of whole records, which has its name only once it is whole."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import RawIOBase
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from ..errors import ConfigError
from ..models import AgentLink, Student, User
from ..sync._reading.parquet import RECORD_COLUMNS
from ._private_file import PrivateFile

__all__ = ["Records", "RecordsFile", "standard_output"]

PARTIAL = ".partial"
LOSS = "; the export is not whole"
BLOCK = 1 << 20  # bytes of JSON Lines that are written at once
ROWS_AT_ONCE = 10_000  # of Parquet
KINDS: dict[type, str] = {Student: "student", User: "user", AgentLink: "agent"}

Record = Student | User | AgentLink


class Records(Protocol):
    """Takes records."""

    def add(self, record: Record) -> None:
        """Take a record."""

    def close(self) -> None:
        """Write what waits to be written; nothing can be added then."""


def _line(record: Record) -> tuple[str, str, bytes]:
    """Return the kind of a record, its id or its student's, and its line of JSON Lines."""
    kind = KINDS[type(record)]
    own = record.student_id if isinstance(record, AgentLink) else record.sourced_id
    return kind, own, b'{"%b":%b}' % (kind.encode(), msgspec.json.encode(record))


class _JsonLines:
    def __init__(self, file: "IO[bytes] | PrivateFile") -> None:
        self._file, self._waiting = file, bytearray()

    def add(self, record: Record) -> None:
        self._waiting += _line(record)[2] + b"\n"
        if len(self._waiting) >= BLOCK:
            self.close()

    def close(self) -> None:
        self._file.write(bytes(self._waiting))
        self._waiting.clear()


class _Sink(RawIOBase):
    """A file as pyarrow writes to one."""

    def __init__(self, file: PrivateFile) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self._file.write(bytes(block))
        return len(block)


class _Parquet:
    def __init__(self, file: PrivateFile) -> None:
        import pyarrow
        from pyarrow import parquet

        self._arrow = pyarrow
        self._schema = pyarrow.schema([(name, pyarrow.string()) for name in RECORD_COLUMNS])
        self._writer = parquet.ParquetWriter(_Sink(file), self._schema)
        self._rows: list[tuple[str, str, str]] = []

    def add(self, record: Record) -> None:
        kind, own, line = _line(record)
        self._rows.append((kind, own, line.decode()))
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        columns = list(zip(*self._rows, strict=True)) or [()] * len(RECORD_COLUMNS)
        self._writer.write_table(self._arrow.table(list(map(list, columns)), schema=self._schema))
        self._rows.clear()

    def close(self) -> None:
        self._flush()
        self._writer.close()


FORMS: dict[str, Callable[[PrivateFile], Records]] = {
    ".jsonl": _JsonLines,
    ".ndjson": _JsonLines,
    ".parquet": _Parquet,
}


class RecordsFile:
    """A file that is written under another name, and renamed once it is whole.

    So an export that ends early neither looks like a whole one nor replaces one.

    Attributes:
        path: The file.
        partial: The name until it is whole.
    """

    def __init__(self, path: Path, file: PrivateFile) -> None:
        self.path, self.partial = path, file.path
        self._file = file
        self._records = FORMS[path.suffix.lower()](file)

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> "Iterator[RecordsFile]":
        """Open the file before anything is read.

        Raises:
            ConfigError: It cannot be written, or its name says no form.
        """
        if path.suffix.lower() not in FORMS:
            raise ConfigError(f"{path}: must end in .jsonl or .parquet")
        if FORMS[path.suffix.lower()] is _Parquet and find_spec("pyarrow") is None:
            raise ConfigError(
                f"{path}: Parquet needs pyarrow: pip install 'timeback-async[parquet]'"
            )
        with PrivateFile.opened(path.with_name(path.name + PARTIAL), LOSS) as file:
            yield cls(path, file)

    @property
    def is_full(self) -> bool:
        """Whether a block could not be written; then nothing more is."""
        return self._file.is_full

    def add(self, record: Record) -> None:
        """Take a record."""
        self._records.add(record)

    def close(self) -> None:
        """Write what waits to be written; the file can be read then, whole or not."""
        self._records.close()

    def give_name(self) -> None:
        """Give the file, which is closed and whole, its name."""
        self.partial.replace(self.path)


def standard_output() -> Records:
    """Return what writes JSON Lines to the standard output.

    Raises:
        ConfigError: It is a screen, which is no place for records.
    """
    if sys.stdout.isatty():
        raise ConfigError(
            "records are personal, and not printed on a screen: pass --out OUT.jsonl, or send the "
            "output to another program"
        )
    return _JsonLines(sys.stdout.buffer)
