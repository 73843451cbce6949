"""Read a Parquet file, or a table, as rows of texts, as a CSV file would have them."""

import datetime
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from decimal import Decimal
from math import isnan
from typing import Any, NamedTuple

from ..._tables import cells_of, without_index
from ...errors import ConfigError
from .files import TABLE, DataFile, reading

__all__ = ["RECORD_COLUMNS", "Odd", "header_of", "records_of", "rows_of"]

# Of a file of whole records: the last one holds the line of JSON Lines.
RECORD_COLUMNS = ["kind", "sourcedId", "record"]

ROWS_AT_ONCE = 4096
# From there on, a float of the type may have lost digits of a whole number.
EXACT = {"halffloat": 2**11, "float": 2**24, "double": 2**53}


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


def rows_of(file: DataFile, needed: Collection[int] | None = None) -> Iterator[list[str] | Odd]:
    """Yield the rows; of a row with a cell that needs a text and has none, that cell.

    Args:
        file: The file.
        needed: The places of the columns that need a text, from 0; None for all. In the others, a
            cell that has none is blank.

    Raises:
        ConfigError: It is damaged.
    """
    with _opened(file) as (schema, batches):
        exact = [_exact(each) for each in schema.types]
        needed = range(len(exact)) if needed is None else needed
        for batch in batches:
            for cells in zip(*map(cells_of, batch.columns), strict=True):
                texts = [*map(_as_text, cells, exact)]
                odd = [place for place in needed if texts[place] is None] if None in texts else ()
                if odd:
                    yield Odd(schema.names[odd[0]], str(schema.types[odd[0]]))
                else:
                    yield [text or "" for text in texts]


def records_of(file: DataFile) -> Iterator[bytes]:
    """Yield the lines of JSON Lines in a file of whole records.

    Raises:
        ConfigError: It is damaged.
    """
    with _opened(file) as (_, batches):
        for batch in batches:
            for line in cells_of(batch.column(RECORD_COLUMNS[-1])):
                yield _as_line(line)


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


def _as_line(value: Any) -> bytes:
    if hasattr(value, "as_buffer"):  # text that is not UTF-8, which is for its reader to say
        return bytes(value.as_buffer())
    return b"" if value is None else str(value).encode()


def _exact(type_: Any) -> int:
    """Return the first whole number that the floats in a type may not hold exactly; 0 for none."""
    return next((limit for name, limit in EXACT.items() if name in str(type_)), 0)


def _as_text(value: Any, exact: int) -> str | None:
    """Return a cell as the text of a CSV, or None if it has no such text.

    Args:
        value: The cell.
        exact: See `_exact`.
    """
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case float() if isnan(value):  # a missing number
            return ""
        case float() if value.is_integer() and abs(value) < exact:
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
            texts = [text for each in value if (text := _as_text(each, exact)) is not None]
            return ",".join(texts) if len(texts) == len(value) else None
    return None
