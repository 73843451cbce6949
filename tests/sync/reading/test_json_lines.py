"""Lines of records, and files of failures: what is read of each, and where it stands."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from tests.support.records import wire_student, wire_user
from tests.support.rosters import opened
from timeback_async import AgentLink, Student, User
from timeback_async.sync import LeftOut, ReadOptions, Roster

LINK = {"studentId": "s-1", "userId": "u-1", "relationshipType": "parent"}
NOT_JSON = "the line is not a record in JSON"


def read(path: Path, *lines: object, end: str = "\n") -> Roster:
    """Read lines: text as it is, anything else as JSON."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file = path / "a.jsonl"
    file.write_text("".join(text + end for text in texts), "utf-8")
    return opened(file)


def test_records_in_parquet_are_those_lines(tmp_path: Path) -> None:
    lines = [json.dumps({"student": wire_student()}), None, json.dumps({"agent": LINK}), "broken"]
    columns = {"kind": ["student", None, "agent", ""], "sourcedId": ["s-1", "", "s-1", ""]}
    parquet.write_table(pyarrow.table(columns | {"record": lines}), tmp_path / "a.parquet")

    roster = opened(tmp_path / "a.parquet")

    assert roster.format == "records in Parquet"
    assert [type(record) for record in roster.records()] == [Student, AgentLink]
    assert places(roster) == [("a.parquet", 1), ("a.parquet", 3)]
    assert [row[:2] for row in roster.left_out()] == [("a.parquet", 4)]


def test_another_parquet_is_a_table(tmp_path: Path) -> None:
    columns = {"kind": ["student"], "record": ["{}"], "sourcedId": ["s-1"]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")

    assert opened(tmp_path / "a.parquet").format != "records in Parquet"


def failure(file: object = "users.csv", line: object = 7, **more: object) -> dict[str, object]:
    return {"file": file, "line": line, "outcome": "failed", "reason": "HTTP 500"} | more


def places(roster: Roster) -> list[tuple[str, int]]:
    """Return file and line of every person and link."""
    people = [(file, line) for _, _, _, _, file, line, _, _ in roster.database.people()]
    return people + [(file, line) for *_, file, line, _ in roster.database.links()]


def test_each_kind_of_record_is_read_with_its_line(tmp_path: Path) -> None:
    roster = read(tmp_path, {"student": wire_student()}, "", {"user": wire_user()}, {"agent": LINK})

    assert [type(record) for record in roster.records()] == [Student, User, AgentLink]
    assert places(roster) == [("a.jsonl", 1), ("a.jsonl", 3), ("a.jsonl", 4)]
    assert list(roster.left_out()) == []


def test_a_byte_order_mark_and_carriage_returns_are_tolerated(tmp_path: Path) -> None:
    first = "\N{BYTE ORDER MARK}" + json.dumps({"user": wire_user()})

    roster = read(tmp_path, first, {"student": wire_student()}, end="\r\n")

    assert roster.count.students == roster.count.users == 1


@pytest.mark.parametrize(
    "line", ["x", "[1,2]", "{}", "5", '"text"', "null", '{"a": 1, "b": 2}', '{"course": {}}', "{"]
)
def test_a_line_that_is_no_record_is_left_out_with_its_text(tmp_path: Path, line: str) -> None:
    roster = read(tmp_path, {"user": wire_user()}, line)

    assert list(roster.left_out()) == [LeftOut("a.jsonl", 2, "", NOT_JSON, line.encode())]
    assert (roster.count.users, roster.count.left_out) == (1, 1)
    (cause,) = roster.findings.causes
    assert str(cause.examples[0]) == f"a.jsonl:2: {NOT_JSON}"


def test_a_record_that_is_not_valid_is_left_out_with_its_field(tmp_path: Path) -> None:
    roster = read(tmp_path, {"student": wire_student(grades=5)}, {"agent": LINK | {"userId": ""}})

    one, other = roster.left_out()
    assert (one.line, one.field, json.loads(one.text)["student"]["grades"]) == (1, "grades", 5)
    assert (other.line, other.field) == (2, "userId")
    assert roster.count.left_out == 2


# -- files of failures


def test_a_link_that_has_to_be_looked_up_counts_and_is_no_whole_record(tmp_path: Path) -> None:
    link = LINK | {"relationshipType": ""}
    gaps = {"people": ["u-1"]}

    roster = read(tmp_path, {"agent": link, "_failure": failure(gaps=gaps)}, {"agent": link})

    assert list(roster.records()) == []
    assert (roster.count.links, roster.count.left_out, roster.count.rows) == (1, 1, 2)
    assert places(roster) == [("users.csv", 7)]


def test_a_record_that_failed_stands_where_it_stood_first(tmp_path: Path) -> None:
    roster = read(
        tmp_path,
        {"student": wire_student(), "_failure": failure()},
        {"agent": LINK, "_failure": failure(line=8)},
    )

    assert places(roster) == [("users.csv", 7), ("users.csv", 8)]
    assert [source.name for source in roster.each_source()] == ["records"]


def test_a_broken_line_that_failed_is_that_line_again(tmp_path: Path) -> None:
    lines = [{"_failure": failure(text=text)} for text in ("x", "[1,2]", '{"user": {}}')]

    roster = read(tmp_path, *lines)

    assert [row.text for row in roster.left_out()] == [b"x", b"[1,2]", b'{"user": {}}']
    assert [cause.code for cause in roster.findings.causes] == ["json-broken", "value-invalid"]
    assert roster.count.left_out == 3


def test_a_broken_line_that_is_mended_in_the_file_of_failures_is_a_record(tmp_path: Path) -> None:
    text = json.dumps({"user": wire_user()})

    roster = read(tmp_path, {"_failure": failure(text=text)})

    assert places(roster) == [("users.csv", 7)]
    assert roster.count.users == 1


def test_a_row_that_no_record_could_be_made_of_keeps_its_reason(tmp_path: Path) -> None:
    alone = {"_failure": failure(field="roles", reason="have all ended")}

    roster = read(tmp_path, alone)

    assert list(roster.left_out()) == [LeftOut("users.csv", 7, "roles", "have all ended")]
    (cause,) = roster.findings.causes
    assert str(cause.examples[0]) == (
        "users.csv:7: roles: an earlier run could not make a record of this row (have all ended)"
    )


def test_failures_in_failures_are_taken_out_to_the_first(tmp_path: Path) -> None:
    line: Any = {"user": wire_user(), "_failure": failure("first.csv", 3)}
    for number in range(5):
        line = {"_failure": failure(f"{number}.jsonl", 1, text=json.dumps(line))}

    roster = read(tmp_path, line)

    assert places(roster) == [("first.csv", 3)]


@pytest.mark.parametrize(
    "place",
    [
        {"file": 5, "line": 7},
        {"file": "", "line": 7},
        {"file": "x.csv", "line": 0},
        {"file": "x.csv", "line": "7"},
        {"file": "x.csv", "line": True},
        {},
    ],
)
def test_a_place_that_is_none_does_not_count(tmp_path: Path, place: dict[str, object]) -> None:
    roster = read(tmp_path, {"user": wire_user(), "_failure": place})

    assert places(roster) == [("a.jsonl", 1)]


def test_the_name_of_a_file_cannot_move_the_cursor(tmp_path: Path) -> None:
    roster = read(tmp_path, {"user": wire_user(), "_failure": failure("a\x1b[2J.csv")})

    assert places(roster) == [("a?[2J.csv", 7)]


def test_a_failure_that_is_no_object_is_left_alone(tmp_path: Path) -> None:
    roster = read(tmp_path, {"user": wire_user(), "_failure": 5})

    assert roster.count.users == 1


def test_a_failure_whose_field_and_reason_are_not_text_is_shown_as_text(tmp_path: Path) -> None:
    roster = read(tmp_path, {"_failure": failure(field=None, reason=["x"])})

    (row,) = roster.left_out()
    assert (row.field, row.reason) == ("None", "['x']")


@pytest.mark.parametrize("gaps", [5, {"birth": "x"}, {"ended": 1}, {"unknown": 1}, None])
def test_gaps_that_are_none_are_left_alone(tmp_path: Path, gaps: object) -> None:
    line = {"user": wire_user(), "_failure": failure(gaps=gaps)}

    roster = read(tmp_path, line, {"person": wire_user(), "_failure": failure(gaps=gaps)})

    assert (roster.count.users, roster.count.left_out) == (1, 1)


def test_an_org_map_may_be_a_mapping(tmp_path: Path) -> None:
    assert ReadOptions(org_map={"a": "b"}).loaded().org_map == {"a": "b"}
    assert ReadOptions(org_map={}).loaded().org_map == {}
