"""Read a partition, and find out which records are in it, before any of them is sent."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from .._tables import is_table
from .._wire.codec import Operation, identify, upsert
from ..errors import RecordError, TimebackError
from ._files import CONTENTS, File
from ._outcomes import table_of
from ._tables import records_of_table

__all__ = [
    "Contents",
    "NotAPartitionError",
    "Partition",
    "Private",
    "contents_of",
    "records_of",
]


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
        fingerprint: A digest of a file; or of everything that would be sent, whatever its order.
    """

    table: Any
    fingerprint: str


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
        part = File(str(part))
    if isinstance(part, File):
        part = part.table()
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


class Partition:
    """A partition, read once. Which records a file has is known without making all of them.

    Args:
        part: See `records_of`.

    Attributes:
        contents: Which records it has.

    Raises:
        NotAPartitionError, ConfigError: As for `records_of`.
    """

    def __init__(self, part: object) -> None:
        self._part = part
        if isinstance(part, str | Path):
            file = File(str(part))
            self._part = file
            if file.kind is not None:
                self.contents = Contents(file.contents(file.kind), file.digest())
                return
        self.contents = contents_of(self.records)

    @cached_property
    def records(self) -> list[Any]:
        """Its records; those of a file are made when they are first asked for."""
        return records_of(self._part)


def contents_of(records: list[Any]) -> Contents:
    """Return which records there are, each encoded as it would be sent."""
    rows, digests = [], []
    for index, record in enumerate(records):
        people: tuple[str | None, ...] = (None, None)
        operation = operation_of(record)
        if isinstance(operation, RecordError):
            kind, sourced_id = identify(record)
            sent = f"{kind}\n{sourced_id}\n{operation}".encode(errors="backslashreplace")
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
