"""Read the rows of a table whose columns say of what kind they are."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from .._tables import arrow_stream, records_from, rows_of_batch, wire_of, without_index
from ..models.kinds import KINDS

__all__ = ["Kind", "kind_of", "records_of_table"]

Kind = Literal["student", "user", "agent"]


def kind_of(columns: Sequence[str]) -> Kind | None:
    """Return the kind of the records in a table, or None where each has its envelope."""
    if columns and set(columns) <= KINDS.keys():
        return None
    return "agent" if "studentId" in columns else "user" if "roles" in columns else "student"


def records_of_table(table: object) -> Iterator[dict[str, dict[str, Any]]]:
    """Yield the rows as records in wire form; `records_from` says how.

    With a column `studentId` the rows are links, with `roles` users, otherwise students; or the
    columns are the envelopes `student`, `user` and `agent`, of which each row has one.

    Raises:
        TypeError, ConfigError: As for `records_from`.
    """
    reader = arrow_stream(table, "partition")
    kind = kind_of(without_index(reader.schema.empty_table()).schema.names)
    if kind is not None:
        yield from records_from(reader, kind)
        return
    for batch in map(without_index, reader):
        for row in rows_of_batch(batch):
            yield {name: wire_of(name, value) for name, value in row.items() if value is not None}
