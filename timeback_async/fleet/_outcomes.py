"""The outcomes of a partition: a table with a row for each record, and the figures of its sending.

Ids are all that it holds about a person.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import pyarrow

from .._results import OK, Outcome

__all__ = [
    "OUTCOMES",
    "OutcomeRow",
    "PartitionReport",
    "counted",
    "outcome_table",
    "rows_of_all",
    "table_of",
]

OUTCOMES = pyarrow.schema(
    [
        ("partition", pyarrow.string()),
        ("index", pyarrow.int64()),
        ("kind", pyarrow.string()),
        ("sourced_id", pyarrow.string()),
        ("outcome", pyarrow.string()),
        ("status", pyarrow.int16()),
        ("attempts", pyarrow.int32()),
        ("error", pyarrow.string()),
    ]
)


class OutcomeRow(msgspec.Struct, frozen=True, gc=False):
    """What became of one record. The columns are those of `ItemResult`."""

    index: int
    kind: str
    sourced_id: str
    outcome: Outcome
    status: int | None = None
    attempts: int = 0
    error: str | None = None


class PartitionReport(msgspec.Struct, kw_only=True):
    """What became of one partition.

    Attributes:
        name: Its name, and that of its outcomes: "people-00000", "links-00000" and so on.
        records: Number of records in it.
        counts: Number of records by outcome.
        attempts, retries, throttled, token_requests: As in `Report`.
        worker: Who sent it.
        tries: How often its sending has begun. More than once: a worker died.
        repeated: At most so many of its records were sent more than once by that.
        seconds: How long the last try took, reading and waiting for its turn left out.
        waiting: Number of links that were held back since a partition of people is not finished.
        is_finished: Whether its outcomes are written, so that it is never sent again.
        is_earlier: Whether it was finished by an earlier call.
        stopped: Why it is not finished, or "".
        fingerprint: What it holds; see `Contents`.
    """

    name: str
    records: int
    counts: dict[Outcome, int]
    attempts: int = 0
    retries: int = 0
    throttled: int = 0
    token_requests: int = 0
    worker: str = ""
    tries: int = 0
    repeated: int = 0
    seconds: float = 0.0
    waiting: int = 0
    is_finished: bool = False
    is_earlier: bool = False
    stopped: str = ""
    fingerprint: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is finished, and every record of it was saved."""
        return self.is_finished and sum(self.counts[o] for o in OK) == self.records


def counted(rows: Iterable[OutcomeRow]) -> dict[Outcome, int]:
    """Return the number of rows by outcome."""
    counts = dict.fromkeys(Outcome, 0)
    for row in rows:
        counts[row.outcome] += 1
    return counts


def outcome_table(name: str, rows: list[OutcomeRow]) -> Any:
    """Return the rows as a table."""
    return table_of([(name, *msgspec.structs.astuple(row)) for row in rows], OUTCOMES)


def table_of(rows: list[Any], schema: Any) -> Any:
    """Return tuples as a table, which may have no rows."""
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [_array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _array(values: Any, kind: Any) -> Any:
    """Return a column. Half a surrogate, which an invalid id may hold, is escaped."""
    try:
        return pyarrow.array(values, kind)
    except UnicodeEncodeError:
        texts = [each and each.encode(errors="backslashreplace").decode() for each in values]
        return pyarrow.array(texts, kind)


def rows_of_all(contents: Any, outcome: Outcome, error: str) -> list[OutcomeRow]:
    """Return a row for each record of a partition, all with the same outcome."""
    columns = (contents[name].to_pylist() for name in ("index", "kind", "sourced_id"))
    return [
        OutcomeRow(index, kind, sourced_id or "", outcome, error=error)
        for index, kind, sourced_id in zip(*columns, strict=True)
    ]
