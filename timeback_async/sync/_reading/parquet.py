"""Read a Parquet file as rows of texts, as a CSV file would have them."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from typing import Any

from ...errors import ConfigError
from .files import DataFile, reading

__all__ = ["RECORD_COLUMNS", "parquet_header", "parquet_records", "parquet_rows"]

# Of a file of whole records: the last one holds the line of JSON Lines.
RECORD_COLUMNS = ["kind", "sourcedId", "record"]

ROWS_AT_ONCE = 4096
EXACT = 2**53  # a larger float may have lost digits of a whole number


def parquet_header(file: DataFile) -> list[str]:
    """Return the names of the columns.

    Raises:
        ConfigError: It is not Parquet, or pyarrow is missing.
    """
    with _opened(file) as table:
        return list(table.schema_arrow.names)


def parquet_rows(file: DataFile) -> Iterator[list[str] | None]:
    """Yield the rows; None for a row with a cell that has no text.

    Raises:
        ConfigError: It is damaged.
    """
    with _opened(file) as table:
        for batch in table.iter_batches(ROWS_AT_ONCE):
            for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                texts = [_as_text(cell) for cell in cells]
                found = [text for text in texts if text is not None]
                yield found if len(found) == len(texts) else None


def parquet_records(file: DataFile) -> Iterator[bytes]:
    """Yield the lines of JSON Lines in a file of whole records.

    Raises:
        ConfigError: It is damaged.
    """
    with _opened(file) as table:
        for batch in table.iter_batches(ROWS_AT_ONCE, columns=RECORD_COLUMNS[-1:]):
            for line in batch.column(0).to_pylist():
                yield b"" if line is None else str(line).encode()


@contextmanager
def _opened(file: DataFile) -> Iterator[Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigError(
            f"{file.name}: Parquet needs pyarrow: pip install 'timeback-async[parquet]'"
        ) from None
    with reading(file) as stream:
        try:
            yield parquet.ParquetFile(stream)
        except (pyarrow.ArrowException, OSError) as error:
            raise ConfigError(
                f"{file.name}: is not Parquet ({type(error).__name__}); export it again"
            ) from None


def _as_text(value: Any) -> str | None:
    """Return a cell as the text of a CSV, or None if its type has no such text."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case float() if isnan(value):  # a missing number
            return ""
        case float() if value.is_integer() and abs(value) < EXACT:
            return str(int(value))
        case datetime.date():
            return value.isoformat()
        case list():
            texts = [text for each in value if (text := _as_text(each)) is not None]
            return ",".join(texts) if len(texts) == len(value) else None
    return None
