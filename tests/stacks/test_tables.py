"""One roster, handed over by every library that has tables: the same people, byte for byte."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import wire_student
from tests.support.rosters import adult, child, csv_text, org
from timeback_async import TimebackSession, records_from
from timeback_async.sync import read_roster
from timeback_async.testing import MockServer

pyarrow = pytest.importorskip("pyarrow")

USERS = [
    child("s-1", "u-1", givenName="Zoë", grades="05,06"),
    child("s-2", username=""),
    child("007"),
    adult("u-1"),
]
TABLES = {"users": USERS, "orgs": [org()]}


def filled(rows: list[dict[str, str]]) -> list[dict[str, str | None]]:
    """Return rows as a database holds them: nothing is null."""
    return [{name: text or None for name, text in row.items()} for row in rows]


def of_polars(rows: list[dict[str, Any]]) -> object:
    return pytest.importorskip("polars", reason="polars is not installed").DataFrame(rows)


def of_pandas(rows: list[dict[str, Any]]) -> object:
    frame = pytest.importorskip("pandas", reason="pandas is not installed").DataFrame(rows)
    return frame[frame["sourcedId"] != ""].set_index(frame.index + 7)  # an index that is no range


def of_pyarrow(rows: list[dict[str, Any]]) -> object:
    return pyarrow.Table.from_pylist(rows)


def of_duckdb(rows: list[dict[str, Any]]) -> object:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    return duckdb.connect().from_arrow(pyarrow.Table.from_pylist(rows))


libraries = pytest.mark.parametrize("library", [of_polars, of_pandas, of_pyarrow, of_duckdb])


@libraries
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_roster_of_tables_is_that_of_the_files(
    tmp_path: Path, library: Callable[[list[dict[str, Any]]], object], suffix: str
) -> None:
    for name, rows in TABLES.items():
        if suffix == ".csv":
            (tmp_path / f"{name}.csv").write_text(csv_text(rows), "utf-8")
        else:
            from pyarrow import parquet

            parquet.write_table(
                pyarrow.Table.from_pylist(filled(rows)), tmp_path / f"{name}{suffix}"
            )

    tables = {name: library(filled(rows)) for name, rows in TABLES.items()}
    with read_roster(tmp_path) as files, read_roster(tables) as roster:
        assert list(roster.database.records()) == list(files.database.records())
        assert list(roster.records()) == list(files.records())
        assert roster.count == files.count


@libraries
async def test_rows_are_sent_as_the_same_records(
    library: Callable[[list[dict[str, Any]]], object],
) -> None:
    rows = [
        wire_student(f"s-{n}", username=f"u{n}" if n else None, email="a@b.example" if n else None)
        for n in range(3)
    ]
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        report = await timeback.upsert_many(records_from(library(rows), "student"))

    assert report.saved == 3
    sent = [{k: v for k, v in row.items() if v is not None or k == "username"} for row in rows]
    assert [*server.students.values()] == sent


@pytest.mark.parametrize("library", [of_polars, of_pandas, of_duckdb])
async def test_a_table_is_refused_as_an_iterable_of_records(
    library: Callable[[list[dict[str, Any]]], object],
) -> None:
    table = library([{"sourcedId": "s-1"}])
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        with pytest.raises(TypeError, match="records_from"):
            timeback.upsert_many(table)  # type: ignore[arg-type]


@pytest.mark.parametrize("library", [of_polars, of_pandas])
async def test_a_column_is_an_iterable_of_ids(
    library: Callable[[list[dict[str, Any]]], Any],
) -> None:
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        server.students["s-1"] = wire_student()
        report = await timeback.get_many_user_agents(library([{"sourcedId": "s-1"}])["sourcedId"])

    assert report.fetched == 1


@pytest.mark.parametrize("library", [of_polars, of_pandas, of_duckdb])
async def test_a_float_id_is_invalid_and_named(
    library: Callable[[list[dict[str, Any]]], object],
) -> None:
    table = library([wire_student() | {"sourcedId": 1001.0}])
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        report = await timeback.upsert_many(records_from(table, "student"))

    assert [str(each.error) for each in report.failures] == ["sourcedId: expected str, got float"]


def test_a_column_of_several_types_is_named() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"sourcedId": ["canary", 7]}, dtype=object)

    with pytest.raises(TypeError, match="column sourcedId") as caught:
        records_from(frame, "student")

    assert "canary" not in str(caught.value)


async def test_values_of_numpy_and_pandas_in_a_mapping_are_named_with_their_place() -> None:
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    cases = [
        ({"sourcedId": numpy.int64(7)}, "sourcedId: cannot be written as JSON; it is a int64"),
        ({"email": pandas.NA}, "email: cannot be written as JSON; it is a NAType"),
        (
            {"grades": ["5", numpy.float32(6)]},
            "grades[1]: cannot be written as JSON; it is a float32",
        ),
        (
            {"demographics": {"birthDate": pandas.Timestamp("2010-01-01")}},
            "demographics.birthDate: cannot be written as JSON; it is a Timestamp",
        ),
    ]
    records = [{"student": wire_student(**change)} for change, _ in cases]
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        report = await timeback.upsert_many(records)

    assert [str(each.error) for each in report.failures] == [told for _, told in cases]
