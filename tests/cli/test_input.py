from pathlib import Path

import pytest

from timeback_async.cli._input import InputRecord, read_files
from timeback_async.errors import ConfigError, RecordError

HEADER = (
    "sourcedId,status,enabledUser,orgSourcedIds,role,username,givenName,familyName,"
    "email,agentSourcedIds,grades"
)
STUDENT = "s-1,active,true,org-9,student,ada,Ada,Byron,ada@example.com,p-1,5"
PARENT = "p-1,,TRUE,org-9,parent,,Annabella,Byron,,,"


def read(
    path: Path, *lines: str, org: str | None = None, relationship: str | None = None
) -> list[InputRecord]:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    entries, count = read_files([path], org, relationship)
    found = list(entries)
    assert len(found) == count
    return found


@pytest.fixture
def users(tmp_path: Path) -> Path:
    return tmp_path / "users.csv"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


def test_students_users_and_then_their_links_come_out_of_a_users_csv(users: Path) -> None:
    found = read(users, HEADER, STUDENT, PARENT)

    assert found == [
        InputRecord(
            {
                "student": {
                    "sourcedId": "s-1",
                    "status": "active",
                    "enabledUser": "true",
                    "primaryOrg": {"sourcedId": "org-9"},
                    "username": "ada",
                    "givenName": "Ada",
                    "familyName": "Byron",
                    "email": "ada@example.com",
                    "grades": ["5"],
                }
            },
            "users.csv",
            2,
        ),
        InputRecord(
            {
                "user": {
                    "sourcedId": "p-1",
                    "status": "active",
                    "enabledUser": "true",
                    "primaryOrg": {"sourcedId": "org-9"},
                    "givenName": "Annabella",
                    "familyName": "Byron",
                    "roles": [
                        {"roleType": "primary", "role": "parent", "org": {"sourcedId": "org-9"}}
                    ],
                }
            },
            "users.csv",
            3,
        ),
        InputRecord(
            {"agent": {"studentId": "s-1", "userId": "p-1", "relationshipType": "parent"}},
            "users.csv",
            2,
        ),
    ]


def test_a_byte_order_mark_and_carriage_returns_are_tolerated(users: Path) -> None:
    users.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{STUDENT}\r\n{PARENT}".encode())

    entries, count = read_files([users], None, None)

    assert count == 3
    assert next(entries).record["student"]["sourcedId"] == "s-1"


def test_a_link_named_from_both_sides_is_one_link(users: Path) -> None:
    parent = "p-1,active,true,org-9,guardian,,Annabella,Byron,,s-1,"

    found = read(users, HEADER, STUDENT, parent)

    assert [entry.record["agent"] for entry in found[2:]] == [
        {"studentId": "s-1", "userId": "p-1", "relationshipType": "guardian"}
    ]


def test_a_link_named_by_the_parent_alone_has_the_same_direction(users: Path) -> None:
    student = "s-1,active,true,org-9,student,ada,Ada,Byron,,,5"
    parent = "p-1,active,true,org-9,parent,,Annabella,Byron,,s-1,"

    found = read(users, HEADER, parent, student)

    assert found[-1].record["agent"]["studentId"] == "s-1"
    assert found[-1].line == 2


@pytest.mark.parametrize(
    ("role", "agents", "field", "words"),
    [
        ("teacher", "p-1", "relationshipType", "--relationship"),
        ("student", "p-1", "agentSourcedIds", "exactly one of"),
        ("parent", "p-9", "agentSourcedIds", "'p-9' is not in this file"),
    ],
)
def test_a_link_that_cannot_be_made_is_an_error_of_its_line(
    users: Path, role: str, agents: str, field: str, words: str
) -> None:
    student = f"s-1,active,true,org-9,student,ada,Ada,Byron,,{agents},5"
    other = f"p-1,active,true,org-9,{role},u,Annabella,Byron,,,"

    link = read(users, HEADER, student, other)[-1]

    assert isinstance(link.record, RecordError)
    assert link.record.field == field
    assert words in link.record.reason
    assert link.line == 2


def test_the_relationship_of_other_agents_can_be_given(users: Path) -> None:
    teacher = "p-1,active,true,org-9,teacher,u,Annabella,Byron,,,"

    found = read(users, HEADER, STUDENT, teacher, relationship="relative")

    assert found[-1].record["agent"]["relationshipType"] == "relative"


def test_the_primary_org_given_takes_the_place_of_the_files(users: Path) -> None:
    found = read(users, HEADER, STUDENT, PARENT, org="org-1")

    assert found[0].record["student"]["primaryOrg"] == {"sourcedId": "org-1"}
    assert found[1].record["user"]["roles"][0]["org"] == {"sourcedId": "org-1"}


def test_a_user_of_two_orgs_has_a_role_in_each(users: Path) -> None:
    teacher = 't-1,active,true,"org-1, org-2",teacher,u,Grace,Hopper,,,"4,5"'

    user = read(users, HEADER, teacher)[0].record["user"]

    assert [role["org"]["sourcedId"] for role in user["roles"]] == ["org-1", "org-2"]
    assert user["primaryOrg"] == {"sourcedId": "org-1"}
    assert user["grades"] == ["4", "5"]


@pytest.mark.parametrize(
    ("cell", "sent"), [("TRUE", "true"), ("yes", "true"), ("0", "false"), ("maybe", "maybe")]
)
def test_enabled_user_is_read_in_its_usual_forms_and_never_guessed(
    users: Path, cell: str, sent: str
) -> None:
    student = f"s-1,toBeDeleted,{cell},org-9,student,ada,Ada,Byron,,,5"

    found = read(users, HEADER, student)[0].record["student"]

    assert found["enabledUser"] == sent
    assert found["status"] == "tobedeleted"


def test_empty_cells_are_left_out_rather_than_made_up(users: Path) -> None:
    found = read(users, HEADER, "s-1,,,,student,,,,,,")[0].record

    assert found == {
        "student": {"sourcedId": "s-1", "status": "active", "enabledUser": "", "grades": []}
    }


def test_empty_rows_do_not_count_and_short_rows_do(users: Path) -> None:
    found = read(users, HEADER, ",,,,,,,,,,", "", "s-1,active,true,org-9,student")

    assert [entry.line for entry in found] == [4]


def test_the_line_is_the_one_a_row_begins_on(users: Path) -> None:
    two_lines = 's-1,active,true,org-9,student,ada,"Ada\nAugusta",Byron,,,5'

    found = read(users, HEADER, two_lines, PARENT)

    assert [entry.line for entry in found] == [2, 4]


def test_a_row_with_too_many_cells_is_an_error_of_its_line(users: Path) -> None:
    found = read(users, HEADER, STUDENT + ",more", PARENT)

    assert isinstance(found[0].record, RecordError)
    assert (found[0].line, found[1].line) == (2, 3)


def test_a_row_that_is_not_csv_is_an_error_of_its_line(users: Path) -> None:
    found = read(users, HEADER, "x" * 200_000, PARENT)

    assert "not a CSV row" in str(found[0].record)
    assert found[1].record["user"]["sourcedId"] == "p-1"


def test_the_rest_names_of_columns_are_known_too(users: Path) -> None:
    header = "sourcedId,role,orgs,agents,enabledUser"

    found = read(users, header, "s-1,student,org-9,p-1,True", "p-1,parent,org-9,,True")

    assert found[0].record["student"]["primaryOrg"] == {"sourcedId": "org-9"}
    assert found[2].record["agent"]["userId"] == "p-1"


def test_records_in_wire_form_come_out_of_a_jsonl_file_with_their_lines(records: Path) -> None:
    found = read(records, '{"student": {"sourcedId": "s-1"}}', "", '{"user": {}}')

    assert found == [
        InputRecord({"student": {"sourcedId": "s-1"}}, "records.jsonl", 1),
        InputRecord({"user": {}}, "records.jsonl", 3),
    ]


def test_the_reason_of_an_earlier_failure_is_left_out(records: Path) -> None:
    found = read(records, '{"user": {}, "_failure": {"reason": "it was late"}}')

    assert found[0].record == {"user": {}}


@pytest.mark.parametrize("line", ["{", "[" * 100_000, "\udcff"])
def test_a_line_that_is_not_json_is_an_error_of_its_line(records: Path, line: str) -> None:
    records.write_bytes(line.encode("utf-8", "surrogateescape") + b'\n{"user": {}}\n')

    entries, count = read_files([records], None, None)
    broken, good = list(entries)

    assert count == 2
    assert str(broken.record) == "not a line of JSON"
    assert good == InputRecord({"user": {}}, "records.jsonl", 2)


@pytest.mark.parametrize("line", ["3", '"s-1"', "null"])
def test_json_that_is_no_object_is_left_to_the_check_of_records(records: Path, line: str) -> None:
    assert not isinstance(read(records, line)[0].record, dict | RecordError)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("users.csv", b"id,name\n", "column 'sourcedId' is missing"),
        ("users.csv", b"", "column 'sourcedId' is missing"),
        ("users.csv", b"sourcedId,role\n\xff,student\n", "not UTF-8"),
        ("users.xlsx", b"PK", "must be a .jsonl, .ndjson or .csv file"),
        ("gone.jsonl", None, "No such file"),
        ("gone.csv", None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_before_anything_is_sent(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        read_files([path], None, None)

    assert words in str(caught.value)
    assert name in str(caught.value)


def test_roles_are_known_in_any_case(users: Path) -> None:
    student = "s-1,active,true,org-9,Student,ada,Ada,Byron,,p-1,5"
    parent = "p-1,active,true,org-9,PARENT,,Annabella,Byron,,,"

    found = read(users, HEADER, student, parent)

    assert found[1].record["user"]["roles"][0]["role"] == "parent"
    assert found[2].record["agent"]["relationshipType"] == "parent"


def test_a_failure_without_a_record_keeps_its_reason_when_it_is_read_again(records: Path) -> None:
    failure = '{"_failure": {"field": "agentSourcedIds", "reason": "is not in this file"}}'

    (entry,) = read(records, failure)

    assert str(entry.record) == "agentSourcedIds: is not in this file"
    assert entry.text == failure
