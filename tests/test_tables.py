"""Rows of a table as records. `tests/stacks` has the libraries that hand out tables."""

import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.support.records import wire_student, wire_user
from timeback_async import TimebackSession, records_from
from timeback_async._tables import ROWS_AT_ONCE
from timeback_async.errors import ConfigError
from timeback_async.testing import MockServer

pyarrow = pytest.importorskip("pyarrow")


def rows(*found: dict[str, Any], kind: Any = "student") -> list[dict[str, Any]]:
    """Return the records of a table with such rows, without their envelope."""
    records = records_from(pyarrow.Table.from_pylist(list(found)), kind)
    return [record[kind] for record in records]


# -- nulls


def test_null_is_sent_where_a_field_is_required_and_may_be_null() -> None:
    nobody = wire_student(username=None, email=None, demographics={"birthDate": None})

    (record,) = rows(nobody)

    assert record["username"] is None
    assert record["demographics"] == {"birthDate": None}
    assert "email" not in record


@pytest.mark.parametrize("field", ["demographics", "metadata", "primaryOrg", "grades"])
def test_any_other_null_is_not_sent(field: str) -> None:
    whole = wire_student(demographics={"birthDate": date(2012, 2, 29)}, metadata={"house": "n"})

    _, record = rows(whole, {**whole, field: None})

    assert field not in record


def test_a_username_is_sent_as_null_for_a_student_alone() -> None:
    (record,) = rows(wire_user(username=None), kind="user")

    assert "username" not in record


def test_nulls_within_lists_of_structs_and_within_metadata_are_not_sent() -> None:
    role = {
        "roleType": "primary", "role": "parent", "org": {"sourcedId": "o", "href": None},
        "beginDate": date(2024, 9, 1), "endDate": None,
    }  # fmt: skip
    (record,) = rows(wire_user(roles=[role], metadata={"a": {"b": None, "c": 1}}), kind="user")

    assert record["roles"] == [
        {"roleType": "primary", "role": "parent", "org": {"sourcedId": "o"},
         "beginDate": date(2024, 9, 1)}
    ]  # fmt: skip
    assert record["metadata"] == {"a": {"c": 1}}


# -- types


def test_a_timestamp_at_midnight_is_a_date() -> None:
    born = datetime(2012, 2, 29)  # noqa: DTZ001 - as pandas has it

    (record,) = rows(wire_student(demographics={"birthDate": born}))

    assert record["demographics"] == {"birthDate": date(2012, 2, 29)}


def test_a_map_is_an_object() -> None:
    table = pyarrow.table(
        {"metadata": pyarrow.array([[("house", "north")]], pyarrow.map_("string", "string"))}
    )

    (record,) = records_from(table, "student")

    assert record == {"student": {"metadata": {"house": "north"}}}


@pytest.mark.parametrize("given", [UUID(int=5), "s-1"], ids=["uuid", "text"])
async def test_an_id_is_text(given: object) -> None:
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        report = await timeback.upsert_many([{"student": wire_student(sourcedId=given)}])

    assert report.saved == 1
    assert [*server.students] == [str(given)]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1.0, "float"),
        (7, "int"),
        (True, "bool"),
        (Decimal("1.50"), "decimal"),
        (b"x", "bytes"),
        (date(2012, 2, 29), "date"),
        (datetime(2012, 2, 29, 1, tzinfo=UTC), "datetime"),
        (time(1), "time"),
        (timedelta(1), "duration"),
        (["a"], "array"),
        ({"a": "b"}, "object"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("column", ["sourcedId", "familyName"])
async def test_a_value_that_is_no_text_makes_an_invalid_record_that_names_column_and_type(
    column: str, value: object, told: str
) -> None:
    table = pyarrow.Table.from_pylist(
        [wire_student() | {column: value}, wire_student() | {column: None}]
    )
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        report = await timeback.upsert_many(records_from(table, "student"))

    first, second = (failure.error for failure in report.failures)
    assert str(first) == f"{column}: expected str, got {told}"
    assert str(second) == f"{column}: is required"
    assert report.invalid == 2
    assert server.requests == 0


# What Arrow holds and Python does not, with the name of its type in messages.
BEYOND = {
    "a year": (pyarrow.array([6_600_000], pyarrow.int32()).view(pyarrow.date32()), "Date32Scalar"),
    "infinity": (
        pyarrow.array([2**31 - 1], pyarrow.int32()).view(pyarrow.date32()),
        "Date32Scalar",
    ),
    "a time": (
        pyarrow.array([2**62], pyarrow.int64()).view(pyarrow.timestamp("us")),
        "TimestampScalar",
    ),
    "a zone": (
        pyarrow.array([1], pyarrow.int64()).view(pyarrow.timestamp("us", "Nowhere/Zone")),
        "TimestampScalar",
    ),
    "bytes": (pyarrow.array([b"\xff"]).view(pyarrow.string()), "StringScalar"),
}


@pytest.mark.parametrize("what", BEYOND)
async def test_a_value_that_python_cannot_hold_costs_its_row_alone(what: str) -> None:
    (odd, told), good = BEYOND[what], pyarrow.nulls(1, BEYOND[what][0].type)
    people = pyarrow.Table.from_pylist([wire_student("s-1"), wire_student("s-2")])
    table = people.append_column("email", pyarrow.chunked_array([odd, good]))
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        report = await timeback.upsert_many(records_from(table.combine_chunks(), "student"))

    (failure,) = report.failures
    assert str(failure.error) == f"email: cannot be written as JSON; it is a {told}"
    assert [*server.students] == ["s-2"]


async def test_a_value_within_a_struct_that_python_cannot_hold_is_named() -> None:
    odd = BEYOND["a year"][0]
    struct = pyarrow.StructArray.from_arrays([odd], ["birthDate"])
    table = pyarrow.Table.from_pylist([wire_student()]).append_column("demographics", struct)
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        report = await timeback.upsert_many(records_from(table, "student"))

    (failure,) = report.failures
    assert str(failure.error).startswith("demographics.birthDate: cannot be written as JSON")


# -- tables


def test_every_row_is_yielded_however_large_the_batches() -> None:
    table = pyarrow.table({"sourcedId": [f"s-{n}" for n in range(ROWS_AT_ONCE * 2 + 5)]})

    found = [record["student"]["sourcedId"] for record in records_from(table, "student")]

    assert found == table["sourcedId"].to_pylist()


def test_rows_are_read_when_they_are_asked_for() -> None:
    read: list[int] = []

    def batches() -> Any:
        for number in range(9):
            read.append(number)
            yield pyarrow.record_batch({"sourcedId": [f"s-{number}"]})

    schema = pyarrow.schema({"sourcedId": pyarrow.string()})
    records = records_from(pyarrow.RecordBatchReader.from_batches(schema, batches()), "student")
    next(records)

    assert read == [0]


async def test_links_and_their_keys_are_rows_too() -> None:
    link = {"studentId": "s-1", "userId": "u-1", "relationshipType": "parent", "agentId": None}
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        server.students["s-1"], server.users["u-1"] = wire_student(), wire_user()
        table = pyarrow.Table.from_pylist([link])

        saved = await timeback.upsert_many(records_from(table, "agent"))
        ((_, agent_id),) = server.agents
        keys = pyarrow.table({"studentId": ["s-1"], "agentId": [agent_id]})
        deleted = await timeback.delete_many(records_from(keys, "agent"))

    assert (saved.saved, deleted.deleted) == (1, 1)


@pytest.mark.parametrize(
    "table", [pyarrow.table({"sourcedId": ["s-1"]}), pyarrow.record_batch({"sourcedId": ["s-1"]})]
)
async def test_a_table_given_as_records_is_refused_with_advice(table: Any) -> None:
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        for run in (timeback.upsert_many, timeback.delete_many, timeback.get_many_user_agents):
            with pytest.raises(TypeError, match=r"is a table.*records_from\(table, \"student\"\)"):
                run(table)


async def test_a_column_is_an_iterable_of_ids() -> None:
    table = pyarrow.table({"sourcedId": ["s-1"]})
    async with MockServer() as server, TimebackSession(server.config()) as timeback:
        server.students["s-1"] = wire_student()
        report = await timeback.get_many_user_agents(str(each) for each in table["sourcedId"])

    assert report.fetched == 1


@pytest.mark.parametrize("given", [[wire_student()], "users.csv", None, pyarrow.array(["s-1"])])
def test_what_is_no_table_is_refused_at_once(given: object) -> None:
    with pytest.raises(TypeError, match="must be a table that speaks Arrow"):
        records_from(given, "student")


def test_a_kind_is_one_of_three() -> None:
    with pytest.raises(ConfigError, match="kind: must be one of student, user, agent"):
        records_from(pyarrow.table({}), "pupil")  # type: ignore[arg-type]


def test_two_columns_of_one_name_are_refused() -> None:
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, ["sourcedId", "sourcedId"])

    with pytest.raises(TypeError, match="two columns of the name sourcedId"):
        records_from(table, "student")


class Mixed:
    """A table whose library finds that a column cannot be handed out."""

    schema = None

    def __init__(self, *told: str) -> None:
        self._told = told

    def __arrow_c_stream__(self, schema: object = None) -> object:
        raise pyarrow.ArrowInvalid(*self._told)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (("Could not convert 'canary'", "Conversion failed for column grades with type object"),
         "Conversion failed for column grades with type object"),
        (("Could not convert 'canary'",), "a column is mixed"),
        ((), "a column is mixed"),
    ],
)  # fmt: skip
def test_a_column_of_several_types_is_named_without_its_values(
    told: tuple[str, ...], shown: str
) -> None:
    with pytest.raises(TypeError, match=shown) as caught:
        records_from(Mixed(*told), "student")

    assert "canary" not in str(caught.value)


def test_without_pyarrow_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pyarrow.table({"sourcedId": ["s-1"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigError, match=r"pip install 'timeback-async\[parquet\]'"):
        records_from(table, "student")
