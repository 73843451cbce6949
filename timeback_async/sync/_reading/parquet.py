"""Read a Parquet file, or a table, as rows of texts, as a CSV file would have them."""

import datetime
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from math import isnan
from typing import Any, NamedTuple

from ..._tables import without_index
from ...errors import ConfigError
from .files import TABLE, DataFile, reading

__all__ = ["RECORD_COLUMNS", "Odd", "header_of", "records_of", "rows_of"]

# Of a file of whole records: the last one holds the line of JSON Lines.
RECORD_COLUMNS = ["kind", "sourcedId", "record"]

ROWS_AT_ONCE = 4096
EXACT = 2**53  # a larger float may have lost digits of a whole number


class Odd(NamedTuple):
    """A cell that has no text: its column, and the type that it has there."""

    column: str
    type: str


def header_of(file: DataFile) -> list[str]:
    """Return the names of the columns.

    Raises:
        ConfigError: It is not Parquet, or pyarrow is missing.
    """
    with _opened(file) as (schema, _):
        return list(schema.names)


def rows_of(file: DataFile) -> Iterator[list[str] | Odd]:
    """Yield the rows; of a row with cells that have no text, the first of them.

    Raises:
        ConfigError: It is damaged.
    """
    with _opened(file) as (schema, batches):
        for batch in batches:
            for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                texts = [_as_text(cell) for cell in cells]
                found = [text for text in texts if text is not None]
                if len(found) == len(texts):
                    yield found
                else:
                    place = texts.index(None)
                    yield Odd(schema.names[place], str(schema.types[place]))


def records_of(file: DataFile) -> Iterator[bytes]:
    """Yield the lines of JSON Lines in a file of whole records.

    Raises:
        ConfigError: It is damaged.
    """
    with _opened(file) as (_, batches):
        for batch in batches:
            for line in batch.column(RECORD_COLUMNS[-1]).to_pylist():
                yield b"" if line is None else str(line).encode()


@contextmanager
def _opened(file: DataFile) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Yield the schema, and the batches of rows."""
    if file.suffix == TABLE:
        table = without_index(file.open())
        yield table.schema, iter(table.to_batches(max_chunksize=ROWS_AT_ONCE))
        return
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigError(
            f"{file.name}: Parquet needs pyarrow: pip install 'timeback-async[parquet]'"
        ) from None
    with reading(file) as stream:
        try:
            found = parquet.ParquetFile(stream)
            yield found.schema_arrow, found.iter_batches(ROWS_AT_ONCE)
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
        case Decimal() if value == value.to_integral_value():
            return f"{value.to_integral_value():f}"
        case datetime.datetime() if value.time() == datetime.time():  # pandas has no dates
            return value.date().isoformat()
        case datetime.date():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case list():
            texts = [text for each in value if (text := _as_text(each)) is not None]
            return ",".join(texts) if len(texts) == len(value) else None
    return None
