"""Read a partition, and find out which records are in it, before any of them is sent."""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
from pyarrow import feather, fs, ipc, parquet

from .._tables import is_table
from .._wire.codec import Operation, identify, upsert
from ..errors import ConfigError, RecordError, TimebackError
from ._outcomes import table_of
from ._tables import records_of_table

__all__ = [
    "SUFFIXES",
    "Contents",
    "NotAPartitionError",
    "Private",
    "columns_of",
    "contents_of",
    "located",
    "records_of",
]

SUFFIXES = (".parquet", ".arrow", ".feather")
CONTENTS = pyarrow.schema(
    [
        ("index", pyarrow.int64()),
        ("kind", pyarrow.string()),
        ("sourced_id", pyarrow.string()),
        ("student_id", pyarrow.string()),
        ("user_id", pyarrow.string()),
    ]
)


class NotAPartitionError(TypeError):
    """Something else was given. The message names its type."""


class Private(msgspec.Struct, frozen=True):
    """Records on their way between processes. An engine that logs its tasks shows none of them."""

    records: list[Any]

    def __repr__(self) -> str:
        return f"Private({len(self.records)} records)"


class Contents(msgspec.Struct, frozen=True):
    """Which records a partition has: ids, and nothing personal.

    Attributes:
        table: A row for each record: index, kind, sourced_id, and the ids of a link's people. An
            id that is not known is null.
        fingerprint: A digest of everything that would be sent, whatever its order.
    """

    table: Any
    fingerprint: str


def located(url: str) -> tuple[Any, str]:
    """Return the file system and the path that a path or URL names.

    Raises:
        ConfigError: There is no file system for it.
    """
    if "://" not in url:
        return fs.LocalFileSystem(), Path(url).absolute().as_posix()
    try:
        found: tuple[Any, str] = fs.FileSystem.from_uri(url)
    except (pyarrow.ArrowException, OSError, ImportError) as error:
        raise ConfigError(f"{url}: no such file system ({type(error).__name__})") from None
    return found


def records_of(part: object) -> list[Any]:
    """Return the records of a partition.

    Args:
        part: An iterable of records, or a table, or the path or URL of a Parquet or Arrow file. A
            record is a struct, or a mapping in wire form.

    Raises:
        NotAPartitionError: It is something else.
        ConfigError: A file cannot be read.
    """
    if isinstance(part, TimebackError):  # it stands for what could not be read elsewhere
        raise part
    if isinstance(part, Private):
        return part.records
    if isinstance(part, str | Path):
        part = _table_in(str(part))
    if is_table(part):
        try:
            return list(records_of_table(part))
        except TypeError as error:
            raise NotAPartitionError(str(error)) from None
    if isinstance(part, Iterable) and not isinstance(part, bytes | Mapping | msgspec.Struct):
        return list(part)
    raise NotAPartitionError(
        "a partition must be an iterable of records, a table or the path of a file, "
        f"not a {type(part).__name__}"
    )


def columns_of(url: str) -> list[str]:
    """Return the names of the columns of a file.

    Raises:
        ConfigError: It cannot be read.
    """
    names: list[str] = _read(url, parquet.read_schema, _schema_of).names
    return names


def _schema_of(file: Any) -> Any:
    return ipc.open_file(file).schema


def _table_in(url: str) -> Any:
    return _read(url, parquet.read_table, feather.read_table)


def _read(url: str, as_parquet: Callable[[Any], Any], as_arrow: Callable[[Any], Any]) -> Any:
    suffix = Path(url).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"{url}: must be one of {', '.join(SUFFIXES)}")
    system, path = located(url)
    try:
        with system.open_input_file(path) as file:
            return as_parquet(file) if suffix == ".parquet" else as_arrow(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(f"{url}: cannot be read ({type(error).__name__})") from None


def contents_of(records: list[Any]) -> Contents:
    """Return which records there are, each encoded as it would be sent."""
    rows, digests = [], []
    for index, record in enumerate(records):
        people: tuple[str | None, ...] = (None, None)
        operation = operation_of(record)
        if isinstance(operation, RecordError):
            kind, sourced_id = identify(record)
            sent = f"{kind}\n{sourced_id}\n{operation}".encode()
        else:
            kind, sourced_id = operation.kind, operation.sourced_id
            people, request = operation.needs or people, operation.request
            sent = f"{request.path}\n".encode() + (request.body or b"")
        rows.append((index, kind, sourced_id or None, *people))
        digests.append(blake2b(sent, digest_size=16).digest())
    # Engines that shuffle may order the rows of a partition anew each time.
    fingerprint = blake2b(b"".join(sorted(digests)), digest_size=16).hexdigest()
    return Contents(table_of(rows, CONTENTS), fingerprint)


def operation_of(record: object) -> Operation | RecordError:
    """Return what would be sent for a record, or why it would not."""
    try:
        return upsert(record)
    except RecordError as error:
        return error
