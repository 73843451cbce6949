"""Read tables of every library that speaks Arrow: polars, pandas, DuckDB, pyarrow.

They hand out their tables as a stream of batches (`__arrow_c_stream__`), in which types are exact
and a missing value is null. pyarrow reads it (extra `parquet`); it is imported when it is needed.

Source: the Arrow PyCapsule interface.
"""

import datetime
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, NamedTuple

from msgspec import inspect

from .errors import ConfigError
from .models.kinds import KINDS

__all__ = [
    "arrow_stream",
    "cells_of",
    "is_table",
    "records_from",
    "rows_of_batch",
    "wire_of",
    "without_index",
]

ROWS_AT_ONCE = 1024
# What pyarrow raises of dates beyond Python's years, fractions of microseconds, unknown time zones,
# and text that is not UTF-8.
NOT_FOR_PYTHON = (OverflowError, ValueError, NotImplementedError)
# pandas hands out an index without a name as a column.
_is_index = re.compile(r"__index_level_\d+__").fullmatch


def records_from(
    table: object, kind: Literal["student", "user", "agent"]
) -> Iterator[dict[str, dict[str, Any]]]:
    """Yield the rows of a table as records in wire form, for `upsert_many` and `delete_many`.

        await timeback.upsert_many(records_from(frame, "student"))

    The columns have the names of the wire: `sourcedId`, `givenName`, `grades` (a list),
    `primaryOrg` (a struct with `sourcedId`). A null is sent as null in a field that is required
    and may be null, such as a student's `username`; any other null is not sent. A timestamp at
    midnight is a date. No other value is converted: an id that is a number may have lost its
    zeros, so it gives an invalid record, which names the column and the type. So does a value that
    Python has no type for, such as a date in the year 20010.

    Args:
        table: A DataFrame of polars or pandas, a relation of DuckDB, a table, batch or reader of
            pyarrow, or anything else with `__arrow_c_stream__`. It is read some rows at a time.
        kind: What its rows are.

    Raises:
        TypeError: It is not such a table, two of its columns have one name, or a column mixes
            types.
        ConfigError: `kind` is none of the three, or pyarrow is not installed.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind: must be one of {', '.join(KINDS)}")
    return _records(arrow_stream(table), kind, _shape_of(kind))


def is_table(value: object) -> bool:
    """Return whether a value is a table. A single column is none: it is an iterable of values."""
    if hasattr(value, "__dataframe__"):
        return True
    return hasattr(value, "__arrow_c_stream__") and (
        hasattr(value, "columns") or hasattr(value, "schema")
    )


def arrow_stream(table: object, name: str = "table") -> Any:
    """Return a table as a `pyarrow.RecordBatchReader`.

    Args:
        table: What a user handed over.
        name: How to call it in messages.

    Raises:
        TypeError: It is no table, or one that Arrow cannot hold.
        ConfigError: pyarrow is not installed.
    """
    if not (is_table(table) and hasattr(table, "__arrow_c_stream__")):
        raise TypeError(
            f"{name}: must be a table that speaks Arrow, of polars, pandas, DuckDB or pyarrow, "
            f"not a {type(table).__name__}"
        )
    try:
        import pyarrow
    except ImportError:
        raise ConfigError(
            f"{name}: tables need pyarrow: pip install 'timeback-async[parquet]'"
        ) from None
    try:
        reader = pyarrow.RecordBatchReader.from_stream(table)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        # Its message holds a value, but the last part names the column.
        told = str(error.args[-1]) if error.args else ""
        where = told if told.startswith("Conversion failed for column") else "a column is mixed"
        raise TypeError(
            f"{name}: is no table that Arrow can hold; give each column one type ({where})"
        ) from None
    names = reader.schema.names
    if len({*names}) != len(names):
        twice = next(each for each in names if names.count(each) > 1)
        raise TypeError(f"{name}: has two columns of the name {twice}")
    return reader


def without_index(rows: Any) -> Any:
    """Return a table or a batch without an index that pandas has handed out as a column."""
    names = rows.schema.names
    columns = [name for name in names if not _is_index(name)]
    return rows if len(columns) == len(names) else rows.select(columns)


def cells_of(column: Any) -> list[Any]:
    """Return the values of an Arrow array; one that Python cannot hold stays Arrow's scalar."""
    try:
        values: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
    except NOT_FOR_PYTHON:
        return [_cell(scalar) for scalar in column]
    return values


def _cell(scalar: Any) -> Any:
    try:
        return scalar.as_py(maps_as_pydicts="lossy")
    except NOT_FOR_PYTHON:
        return scalar


def rows_of_batch(batch: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a batch by column, with the values that `cells_of` returns."""
    names = batch.schema.names
    for cells in zip(*map(cells_of, batch.columns), strict=True):
        yield dict(zip(names, cells, strict=True))


# -- the form of the wire


class _Shape(NamedTuple):
    """What the rows of a kind, or the structs in one of its fields, become.

    Attributes:
        nulls: Fields in which null is sent.
        dates: Fields of dates.
        inner: The shapes of the fields that are structs, or lists of them.
    """

    nulls: frozenset[str]
    dates: frozenset[str]
    inner: dict[str, "_Shape"]


@cache
def _shape_of(kind: str) -> _Shape:
    found = inspect.type_info(KINDS[kind].sent)
    assert isinstance(found, inspect.StructType)
    return _shape(found)


def _shape(struct: inspect.StructType) -> _Shape:
    nulls, dates, inner = set[str](), set[str](), dict[str, _Shape]()
    for field in struct.fields:
        name, form = field.encode_name, field.type
        for each in form.types if isinstance(form, inspect.UnionType) else (form,):
            one = each.item_type if isinstance(each, inspect.ListType) else each
            if isinstance(one, inspect.NoneType) and field.required:
                nulls.add(name)
            elif isinstance(one, inspect.DateType):
                dates.add(name)
            elif isinstance(one, inspect.StructType):
                inner[name] = _shape(one)
    return _Shape(frozenset(nulls), frozenset(dates), inner)


# Of what has no shape, such as `metadata`.
ANY = _Shape(frozenset(), frozenset(), {})


def wire_of(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return a row, or what is in an envelope, in wire form."""
    found: dict[str, Any] = _wire(value, _shape_of(kind))
    return found


def _records(reader: Any, kind: str, shape: _Shape) -> Iterator[dict[str, dict[str, Any]]]:
    for batch in map(without_index, reader):
        for start in range(0, batch.num_rows, ROWS_AT_ONCE):
            for row in rows_of_batch(batch.slice(start, ROWS_AT_ONCE)):
                yield {kind: _wire(row, shape)}


def _wire(value: Any, shape: _Shape) -> Any:
    """Return a value in wire form: no null in it where the wire wants none."""
    if isinstance(value, list):
        return [_wire(each, shape) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _day(inner) if name in shape.dates else _wire(inner, shape.inner.get(name, ANY))
        for name, inner in value.items()
        if inner is not None or name in shape.nulls
    }


def _day(value: Any) -> Any:
    """Return a timestamp at midnight as the date that it stands for: pandas has no dates."""
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        return value.date() if value.time() == datetime.time() else value
    return value
