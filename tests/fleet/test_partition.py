from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import feather, parquet

from tests.support.records import link, student, user, wire_role, wire_student
from timeback_async.errors import ConfigError, SourceError
from timeback_async.fleet._files import check_url, columns_of, entries_of, is_partition, located
from timeback_async.fleet._partition import Partition, Private, contents_of, records_of

ADA = {name: value for name, value in wire_student().items() if name != "status"}
ROWS: list[Mapping[str, Any]] = [ADA, ADA | {"sourcedId": "s-2", "email": "ada@example.com"}]
SENT = [{"student": each} for each in ROWS]


def test_records_of_an_iterable_are_as_they_are() -> None:
    records = [student(), object()]

    assert records_of(iter(records)) == records_of(Private(records)) == records


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
def test_a_file_has_a_record_a_row(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"part{suffix}"
    table = pyarrow.Table.from_pylist([{"email": None, **row} for row in ROWS])
    write = parquet.write_table if suffix == ".parquet" else feather.write_feather
    write(table, path)

    assert records_of(path) == records_of(str(path)) == records_of(f"file://{path}") == SENT


def test_columns_say_the_kind_of_a_row() -> None:
    def kinds(*rows: Mapping[str, Any]) -> list[str]:
        return [name for each in records_of(pyarrow.Table.from_pylist(rows)) for name in each]

    assert kinds({"sourcedId": "s-1"}) == ["student"]
    assert kinds({"sourcedId": "u-1", "roles": [wire_role()]}) == ["user"]
    assert kinds({"studentId": "s-1", "userId": "u-1"}) == ["agent"]
    assert kinds(
        {"student": {"sourcedId": "s-1"}, "user": None},
        {"student": None, "user": {"sourcedId": "u-1"}},
    ) == ["student", "user"]


def test_a_null_is_left_out_unless_it_is_required() -> None:
    empty = {"username": None, "email": None, "demographics": None}
    role = {"role": "parent", "beginDate": None}
    row = empty | {"roles": None, "metadata": {"a": None, "b": [1]}}
    schema = pyarrow.Table.from_pylist([row | {"roles": [role]}]).schema
    students = pyarrow.Table.from_pylist([empty | {"metadata": {"a": None, "b": [1]}}])
    users = pyarrow.Table.from_pylist([row | {"roles": [role]}], schema=schema)

    assert records_of(students) == [{"student": {"username": None, "metadata": {"b": [1]}}}]
    assert records_of(users) == [{"user": {"roles": [{"role": "parent"}], "metadata": {"b": [1]}}}]


def test_a_mixed_column_is_named_without_a_value() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"sourcedId": ["canary", 7]}, dtype=object)

    with pytest.raises(TypeError, match="column sourcedId") as caught:
        records_of(frame)

    assert "canary" not in str(caught.value)


def test_two_columns_of_one_name_are_refused() -> None:
    table = pyarrow.table([["s-1"], ["s-2"]], names=["sourcedId", "sourcedId"])

    with pytest.raises(TypeError, match="two columns of the name sourcedId"):
        records_of(table)


def test_a_row_with_two_envelopes_or_none_stays_invalid() -> None:
    table = pyarrow.Table.from_pylist([{"student": ADA, "user": ADA}, {"student": None}])

    contents = contents_of(records_of(table)).table

    assert contents["kind"].to_pylist() == ["", ""]


def test_the_index_of_a_dataframe_is_no_field() -> None:
    table = pyarrow.Table.from_pylist([ADA | {"__index_level_0__": 7}])

    assert records_of(table) == SENT[:1]


@pytest.mark.parametrize("part", [7, b"x", {"student": {}}, student(), None])
def test_what_is_no_partition_is_refused(part: object) -> None:
    with pytest.raises(TypeError, match=f"not a {type(part).__name__}"):
        records_of(part)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"Ada")

    for name, why in (("a.parquet", "Arrow"), ("b.arrow", "NotFound"), ("c.csv", ".parquet")):
        with pytest.raises(ConfigError, match=rf"{name}: .*{why}") as caught:
            records_of(tmp_path / name)
        assert "Ada" not in str(caught.value)


def test_an_error_stands_for_what_could_not_be_read() -> None:
    with pytest.raises(SourceError, match="gone"):
        records_of(SourceError("gone"))


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_columns_are_read_without_the_rows(tmp_path: Path, suffix: str) -> None:
    table = pyarrow.Table.from_pylist([{"studentId": "s-1", "userId": "u-1"}])
    write = parquet.write_table if suffix == ".parquet" else feather.write_feather
    write(table, tmp_path / f"a{suffix}")

    assert columns_of(str(tmp_path / f"a{suffix}")) == ["studentId", "userId"]


def test_an_unknown_file_system_is_named() -> None:
    with pytest.raises(ConfigError, match="nowhere://x: no such file system"):
        located("nowhere://x")


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:canary@school/night",
        "s3://AKIA:ca/canary@school/night",
        "s3://AKIA:ca#canary@school/night",
        "s3://AKIA:ca?canary@school/night",
        "s3://school/night?secret_key=canary",
        "s3://school/night?endpoint_override=https://me:canary@minio",
        "abfs://c@a.dfs.core.windows.net/x?client_secret=canary",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match=r"://…: must not hold a secret") as caught:
        located(url)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://school/night?endpoint_override=127.0.0.1:9&scheme=http",
        "abfs://c@a.dfs.core.windows.net/x",
        "gs://anonymous@school/night",
        "file:///school/night",
    ],
)
def test_a_url_may_say_where_its_store_is(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize("name", ["a%62.parquet", "part 1.parquet", "ü.parquet", "q?x.parquet"])
def test_any_name_in_a_folder_of_a_url_can_be_read(tmp_path: Path, name: str) -> None:
    parquet.write_table(pyarrow.Table.from_pylist([wire_student("s-1")]), tmp_path / name)
    parquet.write_table(pyarrow.Table.from_pylist([wire_student("s-2")]), tmp_path / "ab.parquet")

    found = {each: records_of(each) for each in entries_of(f"file://{tmp_path}") or []}

    assert sorted(each["student"]["sourcedId"] for (each,) in found.values()) == ["s-1", "s-2"]


def test_spaces_and_letters_of_a_url_may_be_written_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "ö ü"
    folder.mkdir()

    assert located(f"file://{folder}")[1] == str(folder)


def test_the_index_of_a_dataframe_is_no_column_of_a_file(tmp_path: Path) -> None:
    rows = [{"student": wire_student("s-1"), "__index_level_0__": 3}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")

    assert columns_of(str(tmp_path / "a.parquet")) == ["student"]
    assert Partition(tmp_path / "a.parquet").contents.table["sourced_id"].to_pylist() == ["s-1"]


def test_half_a_surrogate_in_an_id_costs_its_record_alone() -> None:
    records = [{"student": wire_student("bad\ud800")}, student("s-1")]

    ids = contents_of(records).table["sourced_id"].to_pylist()

    assert ids == ["bad\\ud800", "s-1"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_is_what_is_in_it_but_for_what_is_hidden(tmp_path: Path, scheme: str) -> None:
    for name in ("b.parquet", "a.arrow", "_SUCCESS", ".a.arrow.crc"):
        (tmp_path / name).touch()
    (tmp_path / "c").mkdir()
    url = f"{scheme}{tmp_path}"

    assert entries_of(url) == entries_of(f"{url}/")
    assert entries_of(url) == [f"{url}/a.arrow", f"{url}/b.parquet", f"{url}/c"]
    assert entries_of(f"{url}/a.arrow") is None
    assert entries_of(f"{url}/nowhere") is None


def test_the_query_of_a_url_is_not_part_of_the_name() -> None:
    where = "?endpoint_override=127.0.0.1:9&scheme=http&region=none"

    assert is_partition(f"s3://school/a.Parquet{where}")
    assert not is_partition(f"s3://school/a.zip{where}")


def test_contents_are_ids_and_nothing_personal() -> None:
    contents = contents_of([student(), user(), link(), {"student": {"sourcedId": "s-9"}}, 7])

    assert contents.table.to_pydict() == {
        "index": [0, 1, 2, 3, 4],
        "kind": ["student", "user", "agent", "student", ""],
        "sourced_id": ["s-1", "u-1", link().agent_id, "s-9", None],
        "student_id": [None, None, "s-1", None, None],
        "user_id": [None, None, "u-1", None, None],
    }


def test_a_fingerprint_depends_on_what_is_sent_and_on_no_order() -> None:
    one, two = student(), student("s-2")

    def fingerprint(*records: object) -> str:
        return contents_of(list(records)).fingerprint

    assert fingerprint(one, two) == fingerprint(two, {"student": wire_student()})
    assert fingerprint(one, two) != fingerprint(one)
    assert fingerprint(one) != fingerprint(student(given_name="Augusta"))
    assert fingerprint(link("s-1")) != fingerprint(link("s-2"))
    assert fingerprint(student(given_name=7)) != fingerprint(student(family_name=7))


def test_records_on_their_way_do_not_show() -> None:
    assert repr(Private([student()])) == "Private(1 records)"


# -- what is known of a file without its records

LINK = {"studentId": "s-1", "userId": "u-1", "relationshipType": "parent"}
FILES: dict[str, list[dict[str, Any]]] = {
    "students": [dict(each) for each in ROWS],
    "users": [{"sourcedId": "u-1", "roles": [wire_role()], "userId": "x", "studentIds": "y"}],
    "links": [LINK, LINK | {"userId": "u-2"}],
    "links with ids": [LINK | {"agentId": "a-1"}, LINK | {"agentId": None}],
    "envelopes": [{"student": dict(ROWS[0]), "user": None}],
}


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("rows", FILES.values(), ids=FILES)
def test_contents_of_a_file_are_those_of_its_records(
    tmp_path: Path, rows: list[dict[str, Any]], suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    write = parquet.write_table if suffix == ".parquet" else feather.write_feather
    write(pyarrow.Table.from_pylist(rows), path)

    partition = Partition(path)

    assert partition.contents.table.equals(contents_of(records_of(path)).table)
    assert partition.records == records_of(path)


@pytest.mark.parametrize(
    "type_", [pyarrow.large_string(), pyarrow.dictionary(pyarrow.int8(), pyarrow.string())]
)
def test_ids_may_be_any_text(tmp_path: Path, type_: Any) -> None:
    table = pyarrow.table({"sourcedId": pyarrow.array(["s-1", None, "s-1"]).cast(type_)})
    parquet.write_table(table, tmp_path / "a.parquet")

    assert Partition(tmp_path / "a.parquet").contents.table["sourced_id"].to_pylist() == [
        "s-1",
        None,
        "s-1",
    ]


def test_an_id_that_is_a_number_is_not_known(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"sourcedId": [1.0, 2.0]}), tmp_path / "a.parquet")
    parquet.write_table(
        pyarrow.table({"studentId": [1], "userId": ["u-1"]}), tmp_path / "b.parquet"
    )

    numbers, links = (Partition(tmp_path / f"{name}.parquet").contents.table for name in "ab")

    assert numbers["sourced_id"].to_pylist() == [None, None]
    assert links["sourced_id"].to_pylist() == [None]


def test_another_byte_is_another_file(tmp_path: Path) -> None:
    def fingerprint(name: str) -> str:
        path = tmp_path / "a.parquet"
        parquet.write_table(pyarrow.Table.from_pylist([ADA | {"givenName": name}]), path)
        return Partition(path).contents.fingerprint

    assert fingerprint("Ada") == fingerprint("Ada") != fingerprint("Adb")


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([ADA]), path)
    partition = Partition(path)
    path.unlink()

    assert partition.records == SENT[:1]
