"""Rows of outcomes, as a fleet and the command write them."""

import sys
from pathlib import Path

import pytest

from tests.support.records import student
from timeback_async import ItemResult, Outcome, TimebackSession
from timeback_async._outcomes import COLUMNS, ROWS_AT_ONCE, OutcomeWriter, row_of
from timeback_async.errors import ConfigError
from timeback_async.testing import Faults, MockServer

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402 - it may not be there


async def test_a_row_tells_what_became_of_a_record_and_nothing_personal(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    records = [student("s-1"), student("s-2", given_name=None), student("s-3")]
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        writer = OutcomeWriter(path, {"index": "int64"})
        async with timeback.upsert_many(records[:2]) as results:
            async for result in results:
                writer.add(result, index=result.index)
        server.faults = Faults(statuses={422: 1.0})
        async with timeback.upsert_many(records[2:]) as results:
            async for result in results:
                writer.add(result, index=result.index + 2)
        writer.close()

    table = parquet.read_table(path)
    rows = sorted(table.to_pylist(), key=lambda row: row["index"])
    assert table.schema.names == ["index", *COLUMNS]
    assert [(row["sourced_id"], row["outcome"], row["status"]) for row in rows] == [
        ("s-1", "saved", 200),
        ("s-2", "invalid", None),
        ("s-3", "failed", 422),
    ]
    assert [(row["error"], row["field"]) for row in rows] == [
        (None, None), ("RecordError", "givenName"), ("BadRequestError", None)
    ]  # fmt: skip
    assert [row["attempts"] for row in rows] == [1, 0, 1]
    assert b"Byron" not in path.read_bytes()


def test_what_is_unknown_is_null() -> None:
    row = row_of(ItemResult(index=0, kind="", sourced_id="", outcome=Outcome.NOT_SENT))

    assert {name for name, value in row.items() if value is None} == {
        "kind", "sourced_id", "status", "error", "field", "reason", "request_id"
    }  # fmt: skip


def test_rows_are_written_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    writer = OutcomeWriter(path, {})
    result = ItemResult(index=0, kind="student", sourced_id="s-1", outcome=Outcome.SAVED)
    for _ in range(ROWS_AT_ONCE):
        writer.add(result)
    written = path.stat().st_size
    writer.add(result)
    writer.close()
    writer.close()

    assert written > 100
    assert parquet.ParquetFile(path).metadata.num_rows == ROWS_AT_ONCE + 1


def test_without_pyarrow_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigError, match=r"pip install 'timeback-async\[parquet\]'"):
        OutcomeWriter(tmp_path / "outcomes.parquet", {})
