"""Tables in place of files. `tests/stacks` has the libraries that hand out tables."""

import uuid
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.rosters import adult, child, codes, csv_text, org, records, role, wrong
from timeback_async.errors import ConfigError
from timeback_async.models import Demographics
from timeback_async.sync import ReadOptions, read_roster

pyarrow = pytest.importorskip("pyarrow")

FAMILY = [child("s-1", "u-1"), child("s-2"), adult("u-1")]


def table(rows: list[dict[str, Any]]) -> Any:
    names = {name: None for row in rows for name in row}
    return pyarrow.table({name: [row.get(name) for row in rows] for name in names})


def test_tables_are_the_same_people_as_files(tmp_path: Path) -> None:
    orgs = [org()]
    for name, rows in ("users", FAMILY), ("orgs", orgs):
        (tmp_path / f"{name}.csv").write_text(csv_text(rows), "utf-8")

    with (
        read_roster(tmp_path) as files,
        read_roster({"users": table(FAMILY), "orgs": table(orgs)}) as tables,
    ):
        assert list(tables.database.records()) == list(files.database.records())
        assert list(tables.records()) == list(files.records())
        assert (tables.count, tables.format, tables.name) == (files.count, "tables", "tables")
        assert codes(files).keys() - codes(tables) == {"manifest-missing"}


def test_other_files_of_a_standard_are_tables_too() -> None:
    users = [{**child("s-1"), "role": "", "orgSourcedIds": ""}]
    born = pyarrow.table({"sourcedId": ["s-1"], "birthDate": [date(2012, 2, 29)]})

    with read_roster(
        {"users": table(users), "roles": table([role("s-1")]), "Demographics": born}
    ) as roster:
        (student,) = roster.records()

    assert student.demographics == Demographics(date(2012, 2, 29))  # type: ignore[union-attr]


def test_a_map_names_tables_as_it_names_files(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    columns = "\n".join(f'"{name}" = "{name}"' for name in child() if name != "sourcedId")
    path.write_text(f'[pupils]\ntarget = "users"\n[pupils.columns]\n"Nr" = "sourcedId"\n{columns}')
    rows = [{**child(), "Nr": "s-7"}]
    del rows[0]["sourcedId"]

    with read_roster({"pupils": table(rows)}, ReadOptions(layout=path)) as roster:
        assert list(records(roster)) == ["s-7"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (1001, "1001"),
        (1001.0, "1001"),
        (Decimal("1001.00"), "1001"),
        (uuid.UUID(int=1001), str(uuid.UUID(int=1001))),
    ],
    ids=lambda given: type(given).__name__,
)
def test_an_id_of_another_type_is_the_text_of_it(given: object, sent: str) -> None:
    if isinstance(given, uuid.UUID):
        ids = pyarrow.ExtensionArray.from_storage(
            pyarrow.uuid(), pyarrow.array([given.bytes], pyarrow.binary(16))
        )
    else:
        ids = pyarrow.array([given])
    people = table([child()]).set_column(0, "sourcedId", ids)

    with read_roster({"users": people}) as roster:
        assert list(records(roster)) == [sent]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (1001.5, "double"),
        (Decimal("1.5"), "decimal128(2, 1)"),
        (b"x", "binary"),
        ({"name": "Canary"}, "struct<name: string>"),
    ],
    ids=["fraction", "decimal", "bytes", "struct"],
)
def test_a_row_whose_id_has_no_text_is_left_out_with_column_and_type(
    cell: object, told: str
) -> None:
    people = table([{**child(), "sourcedId": cell}, {**child(), "sourcedId": None}])

    with read_roster({"users": people}) as roster:
        (left, _) = roster.left_out()
        (cause,) = [each for each in roster.findings.causes if each.code == "cell-type"]

    assert (left.file, left.line, left.field) == ("users", 1, "sourcedId")
    assert cause.examples[0].detail == told


def test_timestamps_at_midnight_are_dates() -> None:
    born = pyarrow.table({"sourcedId": ["s-1"], "birthDate": [datetime(2012, 2, 29)]})  # noqa: DTZ001

    with read_roster({"users": table([child()]), "demographics": born}) as roster:
        (student,) = roster.records()
        assert not wrong(roster)

    assert student.demographics == Demographics(date(2012, 2, 29))  # type: ignore[union-attr]


def test_a_table_that_can_be_read_once_is_read_once() -> None:
    reader = table(FAMILY).to_reader()

    with read_roster({"users": reader}) as roster:
        assert roster.count.rows == len(FAMILY)


def test_an_index_of_pandas_is_no_column() -> None:
    indexed = table(FAMILY).append_column("__index_level_0__", pyarrow.array([5, 6, 7]))

    with read_roster({"users": indexed}) as roster:
        assert "column-unknown" not in codes(roster)


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({}, "tables: there is none"),
        ({"orgs": table([org()])}, "has no file of people; expected users.csv, found orgs"),
        ({"users": table(FAMILY), "Users.csv": table(FAMILY)}, "Users.csv: is there twice"),
        ({"users": table(FAMILY), "manifest": table(FAMILY)}, "manifest: tables have none"),
    ],
)
def test_tables_that_make_no_roster_are_refused(tables: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_roster(tables)


@pytest.mark.parametrize("given", [table(FAMILY), FAMILY, None])
def test_what_is_neither_path_nor_tables_is_refused_with_the_form(given: Any) -> None:
    with pytest.raises(TypeError, match=r'tables by name: \{"users": …\}'):
        read_roster(given)


def test_a_value_that_is_no_table_is_named() -> None:
    with pytest.raises(TypeError, match="users: must be a table that speaks Arrow"):
        read_roster({"users": FAMILY})
