"""What became of each record, as rows of a Parquet file: ids, and nothing else about a person.

Whoever writes such a file adds where the record stood: a file and a line, or a part of a fleet's
work. pyarrow writes it (extra `parquet`); it is imported when it is needed.
"""

from collections.abc import Mapping
from typing import Any

from ._results import ItemResult
from .errors import ConfigError, RecordError

__all__ = ["COLUMNS", "OutcomeWriter", "row_of"]

# Each column with its type, for `pyarrow.type_for_alias`.
COLUMNS = {
    "kind": "string",
    "sourced_id": "string",  # null where it is unknown
    "outcome": "string",
    "status": "int16",  # null without an answer
    "attempts": "int32",
    "error": "string",  # the name of its class; null for a record that is all right
    "field": "string",  # of an invalid record
    "reason": "string",  # the error in words
    "request_id": "string",
}
ROWS_AT_ONCE = 4096


def row_of(result: ItemResult) -> dict[str, Any]:
    """Return the row of a result: a value for each of `COLUMNS`."""
    error = result.error
    return {
        "kind": result.kind or None,
        "sourced_id": result.sourced_id or None,
        "outcome": result.outcome.value,
        "status": result.status,
        "attempts": result.attempts,
        "error": type(error).__name__ if error is not None else None,
        "field": (error.field or None) if isinstance(error, RecordError) else None,
        "reason": str(error) if error is not None else None,
        "request_id": result.request_id or None,
    }


class OutcomeWriter:
    """Writes rows to a file as they come, some thousand at once. Close it: only then is it Parquet.

    Args:
        sink: A path, or a binary file to write to.
        place: The columns before `COLUMNS`, with their types.

    Raises:
        ConfigError: pyarrow is not installed.
    """

    def __init__(self, sink: Any, place: Mapping[str, str]) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise ConfigError(
                "outcomes: Parquet needs pyarrow: pip install 'timeback-async[parquet]'"
            ) from None
        types = {**place, **COLUMNS}
        self._schema = pyarrow.schema(
            [(name, pyarrow.type_for_alias(type_)) for name, type_ in types.items()]
        )
        self._batch = pyarrow.RecordBatch.from_pylist
        self._writer = parquet.ParquetWriter(sink, self._schema)
        self._rows: list[dict[str, Any]] = []
        self._is_open = True

    def add(self, result: ItemResult, **place: Any) -> None:
        """Add the row of a result, and where its record stood."""
        self._rows.append(place | row_of(result))
        if len(self._rows) == ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Write the rest, and the end of the file."""
        if self._is_open:
            self._is_open = False
            self._flush()
            self._writer.close()

    def _flush(self) -> None:
        self._writer.write_batch(self._batch(self._rows, schema=self._schema))
        self._rows = []
