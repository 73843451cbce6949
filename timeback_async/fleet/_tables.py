"""Read the rows of a table as records in wire form."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec
import pyarrow

from ..models.kinds import KINDS

__all__ = ["is_table", "kind_of", "records_of_table"]

# Of each kind: what is sent as null. Any other null means that nothing is known.
_NULL = {
    name: {
        field.encode_name
        for field in msgspec.structs.fields(kind.sent)
        if field.required and type(None) in get_args(field.type)
    }
    for name, kind in KINDS.items()
}


def is_table(part: object) -> bool:
    """Whether something is a table: of pyarrow, pandas, polars, DuckDB and so on."""
    return hasattr(part, "__arrow_c_stream__")


def kind_of(columns: list[str]) -> str | None:
    """Return the kind of the records in a table, or None where each has its envelope."""
    if columns and set(columns) <= KINDS.keys():
        return None
    return "agent" if "studentId" in columns else "user" if "roles" in columns else "student"


def records_of_table(table: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows as mappings in wire form, with their envelopes.

    Columns are named as on the wire. With a column `studentId` the rows are links, with `roles`
    users, otherwise students; or the columns are the envelopes `student`, `user` and `agent`, of
    which each row has one. A null is left out, unless the field is required and may be null.
    """
    table = pyarrow.table(table)
    # pandas adds its index as a column if it is not just the number of the row.
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    kind = kind_of(names)
    for batch in table.select(names).to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            if kind is not None:
                yield _enveloped(kind, row)
                continue
            found = [name for name in names if row[name] is not None]
            yield _enveloped(found[0], row[found[0]]) if len(found) == 1 else row


def _enveloped(kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    kept = _NULL[kind]
    found = {name: _without_nulls(value) for name, value in row.items()}
    return {kind: {name: v for name, v in found.items() if v is not None or name in kept}}


def _without_nulls(value: Any) -> Any:
    """Return a value without the nulls in it; None for a struct of nulls alone."""
    if isinstance(value, dict):
        found = {name: _without_nulls(inner) for name, inner in value.items()}
        return {name: inner for name, inner in found.items() if inner is not None} or None
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
