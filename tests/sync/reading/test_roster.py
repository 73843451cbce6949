import gc
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.records import link, student, user
from tests.support.rosters import (
    adult,
    child,
    codes,
    csv_text,
    folder,
    manifest,
    mapping,
    opened,
    org,
    person,
    read,
    records,
    role,
    school,
    users,
    wrong,
)
from timeback_async import AgentLink, User
from timeback_async.errors import ConfigError
from timeback_async.models.ids import agent_id_of
from timeback_async.sync import CODES, Finding, Findings, ReadOptions, read_roster
from timeback_async.sync._reading import database as _database
from timeback_async.sync._reading.files import IS_UNWANTED
from timeback_async.sync._reading.roster import RosterCount

DATED = {"status": "active", "dateLastModified": "2024-01-01T00:00:00.000Z"}


def dated(row: Mapping[str, str], **cells: str) -> dict[str, str]:
    return {"sourcedId": row["sourcedId"]} | DATED | {**row, **DATED, **cells}


def links(tmp_path: Path, *people: Any, **options: Any) -> dict[str, str]:
    """Return the type of every link by the ids of its student and its agent."""
    found = records(read(tmp_path, school(*people), **options))
    return {
        name: each.relationship_type for name, each in found.items() if isinstance(each, AgentLink)
    }


# -- links


@pytest.mark.parametrize(
    "people",
    [
        (child("s-1", "u-1"), adult("u-1")),
        (child("s-1"), adult("u-1", agents="s-1")),
        (child("s-1", "u-1"), adult("u-1", agents="s-1")),
        (adult("u-1"), child("s-1", "u-1,u-1")),
        (adult("u-1", agents="s-1,s-1"), child("s-1")),
    ],
    ids=["child names parent", "parent names child", "both", "twice", "twice back"],
)
def test_a_link_is_one_whichever_side_names_the_other(tmp_path: Path, people: Any) -> None:
    roster = read(tmp_path, school(*people))

    assert records(roster)["s-1+u-1"] == AgentLink(
        "s-1", "u-1", "parent", agent_id_of("s-1", "u-1")
    )
    assert (roster.count[:4], codes(roster)) == ((1, 1, 1, 0), {})


def test_families_are_sets_of_links(tmp_path: Path) -> None:
    people = [
        child("s-1", "u-1,u-2"),
        child("s-2", "u-2"),
        adult("u-1", "guardian"),
        adult("u-2", "relative", agents="s-1"),
    ]

    found = links(tmp_path, *people)

    assert found == {"s-1+u-1": "guardian", "s-1+u-2": "relative", "s-2+u-2": "relative"}


def test_the_relation_may_stand_in_a_second_role(tmp_path: Path) -> None:
    people = [
        {name: cell for name, cell in row.items() if name not in ("role", "orgSourcedIds")}
        for row in (child("s-1", "u-1"), adult("u-1"))
    ]
    roles = [role("s-1"), role("u-1", "teacher"), role("u-1", "guardian", "secondary")]

    found = records(read(tmp_path, school(*people, version="1.2", roles=roles)))

    assert isinstance(between := found["s-1+u-1"], AgentLink)
    assert between.relationship_type == "guardian"


def test_an_agent_who_is_no_relative_is_linked_only_when_told_as_what(tmp_path: Path) -> None:
    people = child("s-1", "u-1"), adult("u-1", "teacher")

    roster = read(tmp_path / "untold", school(*people))

    (only,) = wrong(roster)
    assert only.endswith(f"users.csv:2: agentSourcedIds: {CODES['agent-role'].says} (u-1)")
    assert links(tmp_path, *people, relationship="mentor") == {"s-1+u-1": "mentor"}


@pytest.mark.parametrize(
    ("people", "finding"),
    [
        (
            (child("s-1", "u-9"),),
            "agent-unknown users.csv:2: agentSourcedIds: an agent is not in users.csv (u-9)",
        ),
        (
            (child("s-1", "s-2"), child("s-2")),
            (
                "agent-neither users.csv:2: agentSourcedIds: "
                "exactly one of two linked people has to be a student (s-2)"
            ),
        ),
        (
            (adult("u-1", agents="u-2"), adult("u-2")),
            (
                "agent-neither users.csv:2: agentSourcedIds: "
                "exactly one of two linked people has to be a student (u-2)"
            ),
        ),
        (
            (child("s-1", "s-1"),),
            (
                "agent-neither users.csv:2: agentSourcedIds: "
                "exactly one of two linked people has to be a student (s-1)"
            ),
        ),
    ],
    ids=["unknown", "both students", "neither", "self"],
)
def test_a_reference_that_is_no_link_is_told_and_the_person_stays(
    tmp_path: Path, people: Any, finding: str
) -> None:
    roster = read(tmp_path, school(*people))

    assert wrong(roster) == [finding]
    assert len(records(roster)) == len(people)


@pytest.mark.parametrize(
    "cells",
    [{"familyName": ""}, {"orgSourcedIds": ""}, {"role": "student", "enabledUser": "?"}],
)
def test_the_links_of_a_student_who_is_left_out_follow_from_that(
    tmp_path: Path, cells: dict[str, str]
) -> None:
    roster = read(tmp_path, school(child("s-1", "u-1", **cells), adult("u-1", agents="s-1")))

    first, *others = wrong(roster)
    assert not first.startswith("agent")
    assert [each.split()[0] for each in others] == ["agent-left-out", "agent-left-out"]
    assert roster.count[:4] == (0, 1, 0, 1)


def test_the_links_of_an_agent_who_is_left_out_follow_from_that(tmp_path: Path) -> None:
    roster = read(tmp_path, school(child("s-1", "u-1"), adult("u-1", givenName="")))

    assert list(codes(roster)) == ["value-missing", "agent-left-out"]


@pytest.mark.parametrize("gone", ["s-1", "u-1"])
def test_who_is_to_be_deleted_has_no_links(tmp_path: Path, gone: str) -> None:
    people = [child("s-1", "u-1"), adult("u-1")]
    for row in people:
        row["status"] = "tobedeleted" if row["sourcedId"] == gone else ""

    roster = read(tmp_path, school(*people))

    assert (roster.count[:4], wrong(roster)) == ((1, 1, 0, 0), [])


def test_an_agent_who_is_not_in_a_delta_may_be_known_from_before(tmp_path: Path) -> None:
    people = dated(child("s-1", "u-9")), dated(child("s-2", "u-8"))

    roster = read(tmp_path, school(*people, mode="delta"))

    assert wrong(roster) == []
    assert roster.count[:4] == (2, 0, 0, 0)


RELATED = """
[users]
target = "users"
[relationships]
target = "relationships"
"""


def related(tmp_path: Path, rows: str, *people: Any) -> Any:
    text = f"userSourcedId,relationshipUserSourcedId,relationshipRole\n{rows}"
    files = {"users.csv": csv_text(people), "relationships.csv": text}
    layout = mapping(tmp_path / "map.toml", RELATED)
    return opened(folder(tmp_path / "roster", files), layout=layout)


def test_a_relation_that_is_told_wins_over_the_agents_role(tmp_path: Path) -> None:
    roster = related(tmp_path, "u-1,s-1,aunt\n", child("s-1", "u-1"), adult("u-1"))

    assert [each.relationship_type for each in roster.records() if isinstance(each, AgentLink)] == [
        "aunt"
    ]
    assert wrong(roster) == []


def test_two_people_who_are_related_in_two_ways_are_told(tmp_path: Path) -> None:
    roster = related(tmp_path, "s-1,u-1,aunt\nu-1,s-1,mother\n", child("s-1"), adult("u-1"))

    assert wrong(roster) == [
        (
            "relation-differs relationships.csv:2: relationshipRole: "
            "two people are linked in different ways; the first was taken (u-1)"
        ),
    ]
    assert roster.count.links == 1


@pytest.mark.parametrize(
    ("row", "code"), [("s-1\n", "row-width"), ("s-1,,x\n", "id-missing"), (",u-1,\n", "id-missing")]
)
def test_a_relation_that_cannot_be_read_counts_as_one_and_costs_no_person(
    tmp_path: Path, row: str, code: str
) -> None:
    roster = related(tmp_path, row, child("s-1"), adult("u-1"))

    assert list(codes(roster)) == [code]
    assert roster.sources["relationships.csv"].unreadable == 1
    assert roster.count == RosterCount(students=1, users=1, rows=2)


# -- duplicates


def test_the_same_row_twice_counts_once(tmp_path: Path) -> None:
    twice = [child("s-1", "u-1", username="Canary") | {"userMasterIdentifier": "m"}] * 2

    roster = read(tmp_path, school(*twice, adult("u-1")))

    assert roster.count[:4] == (1, 1, 1, 0)
    assert codes(roster) == {"duplicate-same": 1}
    (cause,) = roster.findings.causes
    assert str(cause.examples[0]) == (
        "users.csv:3: sourcedId: the file has the same row twice (s-1)"
    )


def test_different_rows_of_one_id_are_all_left_out(tmp_path: Path) -> None:
    people = child("s-1", "u-1"), child("s-1", email="1@1"), adult("u-1"), child("s-2", "u-1")

    roster = read(tmp_path, school(*people))

    assert list(records(roster)) == ["u-1", "s-2", "s-2+u-1"]
    assert codes(roster) == {"duplicate-different": 2, "agent-left-out": 1}
    assert roster.count.left_out == 2


def test_rows_of_one_id_that_are_wrong_anyway_are_told_for_that(tmp_path: Path) -> None:
    roster = read(tmp_path, school(child("s-1", givenName=""), child("s-1", givenName="")))

    assert codes(roster) == {"value-missing": 2}
    assert roster.count.left_out == 2


def test_several_ids_of_what_may_be_one_person_are_noted_and_not_merged(tmp_path: Path) -> None:
    more = {"userIds": "{LDAP:12}", "userMasterIdentifier": "m"}
    people = (
        child("s-1", username="canary"),
        adult("s-2", username="canary"),
        child("s-3") | more,
        child("s-4") | more,
        child("s-5") | {"userIds": "77"},
        child("s-6") | {"userIds": "77"},
    )

    roster = read(tmp_path, school(*people))

    details = [each.detail for cause in roster.findings.causes for each in cause.examples]
    assert codes(roster)["same-person"] == 3
    assert sorted(filter(None, details)) == ["s-1 and 1 more", "s-3 and 1 more", "s-3 and 1 more"]
    assert roster.count[:4] == (5, 1, 0, 0)


# -- manifests and modes


def test_a_set_without_a_manifest_is_a_full_one_unless_told(tmp_path: Path) -> None:
    files = school(child(), version="")

    assert codes(read(tmp_path, files)) == {"manifest-missing": 1}
    assert read(tmp_path, files).sources["users.csv"].mode == "bulk"
    assert read(tmp_path, files, mode="delta").sources["users.csv"].is_delta


@pytest.mark.parametrize(
    ("version", "is_known"),
    [("1.1", True), ("1.2", True), ("1.2.1", True), ("1.0", False), ("2.0", False), ("", False)],
)
def test_a_version_that_is_not_known_is_told(tmp_path: Path, version: str, is_known: bool) -> None:
    files = school(child()) | {"manifest.csv": csv_text(manifest(version, users="bulk"))}

    roster = read(tmp_path, files)

    assert ("version-unknown" not in codes(roster)) == is_known
    assert roster.format == f"OneRoster {version or 'of no version'}"


def test_the_files_win_over_the_manifest(tmp_path: Path) -> None:
    modes = {"users": "absent", "orgs": "absent", "roles": "bulk", "demographics": "Delta"}
    files = school(child()) | {"manifest.csv": csv_text(manifest("1.2", **modes))}

    roster = read(tmp_path, files)

    told = [each for each in wrong(roster) if "differs" in each]
    assert codes(roster)["mode-unclear"] == 1
    assert sorted(told) == [
        f"manifest-differs manifest.csv: the manifest and the files disagree ({what})"
        for what in (
            "demographics is not there",
            "orgs is there",
            "roles is not there",
            "users is there",
        )
    ]
    assert roster.count.students == 1


def test_a_manifest_of_broken_rows_says_nothing(tmp_path: Path) -> None:
    files = school(child()) | {"manifest.csv": 'propertyName\n"users"x\nfile.users\n'}

    roster = read(tmp_path, files)

    assert roster.format == "OneRoster of no version"
    assert roster.sources["users.csv"].mode == "delta"
    assert codes(roster)["mode-unclear"] == 1


@pytest.mark.parametrize("said", ["file.users,delta,", '"file.users","delta",""'])
def test_blank_cells_at_the_end_of_a_manifests_rows_change_nothing(
    tmp_path: Path, said: str
) -> None:
    files = school(child(), mode="delta")
    files["manifest.csv"] = files["manifest.csv"].replace("file.users,delta", said)

    roster = read(tmp_path, files)

    assert roster.sources["users.csv"].mode == "delta"
    assert "mode-unclear" not in codes(roster)


def test_a_stray_quote_in_a_manifest_hides_no_other_line(tmp_path: Path) -> None:
    files = school(child())
    said = 'source.systemName,"My SIS\r\nfile.users,bulk'
    files["manifest.csv"] = files["manifest.csv"].replace("file.users,bulk", said)

    assert read(tmp_path, files).sources["users.csv"].mode == "bulk"


@pytest.mark.parametrize("said", ["file.users,incremental", "file.users,"])
def test_a_manifest_that_is_not_understood_makes_no_full_set(tmp_path: Path, said: str) -> None:
    files = school(child())
    files["manifest.csv"] = files["manifest.csv"].replace("file.users,bulk", said)

    roster = read(tmp_path, files)

    assert roster.sources["users.csv"].mode == "delta"
    assert codes(roster)["mode-unclear"] == 1
    assert read(tmp_path / "told", files, mode="bulk").sources["users.csv"].mode == "bulk"


def test_what_the_manifest_does_not_speak_of_is_as_told(tmp_path: Path) -> None:
    files = school(child()) | {"manifest.csv": csv_text(manifest("1.1", orgs="bulk"))}

    assert read(tmp_path, files).sources["users.csv"].mode == "delta"
    assert read(tmp_path, files, mode="bulk").sources["users.csv"].mode == "bulk"


def test_a_manifest_alone_says_that_nothing_has_changed(tmp_path: Path) -> None:
    roster = read(tmp_path, {"manifest.csv": csv_text(manifest("1.2", users="absent"))})

    assert (roster.count[:4], wrong(roster), roster.sources) == ((0, 0, 0, 0), [], {})


def test_a_manifest_that_promises_users_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file of people; expected users.csv"):
        read(tmp_path, {"manifest.csv": csv_text(manifest("1.2", users="bulk"))})


def test_rows_dated_as_in_a_delta_make_a_bulk_doubtful(tmp_path: Path) -> None:
    people = dated(child("s-1")), dated(child("s-2")), child("s-3")

    roster = read(tmp_path, school(*people))

    assert list(codes(roster)) == ["mode-doubtful"]
    assert roster.sources["users.csv"].is_doubtful


@pytest.mark.parametrize("options", [{"mode": "delta"}, {"version": ""}])
def test_dates_are_fine_where_no_manifest_says_bulk(
    tmp_path: Path, options: dict[str, str]
) -> None:
    roster = read(tmp_path, school(dated(child()), **options))

    assert not roster.sources["users.csv"].is_doubtful
    assert wrong(roster) == []


# -- JSON Lines


def lines(*records_: Any) -> bytes:
    """Return records, or what else is given, as JSON Lines."""
    kinds = {"Student": "student", "User": "user", "AgentLink": "agent"}
    wires = [
        each if isinstance(each, dict) else {kinds[type(each).__name__]: each} for each in records_
    ]
    return b"".join(msgspec.json.encode(wire) + b"\n" for wire in wires)


def test_json_lines_are_read_record_by_record(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + lines(student(), user()) + b"\n  \n" + lines(link())

    roster = opened(users(tmp_path, content, "records.jsonl"))

    assert list(roster.records()) == [student(), user(), link()]
    assert (roster.format, roster.count[:4]) == ("JSON Lines", (1, 1, 1, 0))
    (source,) = roster.sources.values()
    assert (source.mode, source.is_delta, source.has_agents) == ("delta", False, True)


def test_a_file_of_failures_is_fed_back(tmp_path: Path) -> None:
    failure = {"reason": "canary", "status": 500}
    content = lines({"student": student(), "_failure": failure})

    roster = opened(users(tmp_path, content, "failures.ndjson"))

    assert list(roster.records()) == [student()]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"1",
        b"\xff",
        b"{}",
        b'{"student": []}',
        b'{"class": {}}',
        b'{"student": {}, "user": {}}',
        b'{"_failure": {"text": "Canary"}}',
        b'{"student": {"sourcedId": "\\ud800"}}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_record_is_left_out(tmp_path: Path, line: bytes) -> None:
    content = lines(student()) + line + b"\n" + lines(user())

    roster = opened(users(tmp_path, content, "records.jsonl"))

    assert list(roster.records()) == [student(), user()]
    assert wrong(roster) == ["json-broken records.jsonl:2: the line is not a record in JSON"]
    assert roster.count.left_out == 1
    assert roster.sources["records.jsonl"].unreadable == 1


@pytest.mark.parametrize(
    ("record", "unreadable", "message"),
    [
        (
            {"student": {"sourcedId": "s-9", "username": "Canary"}},
            0,
            "value-invalid records.jsonl:1: givenName: a value is not valid (is required)",
        ),
        (
            {"user": {"sourcedId": 7}},
            1,
            (
                "value-invalid records.jsonl:1: sourcedId: a value is not valid "
                "(expected str, got int)"
            ),
        ),
    ],
)
def test_a_record_that_is_not_valid_is_left_out(
    tmp_path: Path, record: Any, unreadable: int, message: str
) -> None:
    roster = opened(users(tmp_path, lines(record), "records.jsonl"))

    assert wrong(roster) == [message]
    assert roster.count[:4] == (0, 0, 0, 1)
    assert roster.sources["records.jsonl"].unreadable == unreadable


def test_a_link_that_is_not_valid_is_left_out(tmp_path: Path) -> None:
    content = lines({"agent": {"studentId": "s-1"}})

    roster = opened(users(tmp_path, content, "records.jsonl"))

    assert list(codes(roster)) == ["value-invalid"]
    assert roster.count[:4] == (0, 0, 0, 1)
    assert roster.sources["records.jsonl"].unreadable == 1


def test_the_same_record_twice_counts_once_and_another_one_is_refused(tmp_path: Path) -> None:
    content = lines(student(), student(), user(), user(given_name="Canary"), link(), link())

    roster = opened(users(tmp_path, content, "records.jsonl"))

    assert list(roster.records()) == [student(), link()]
    assert codes(roster) == {"duplicate-same": 2, "duplicate-different": 2}


def test_a_link_with_an_id_of_its_own_keeps_it(tmp_path: Path) -> None:
    own = AgentLink("s-1", "u-1", "parent", "rel-7")

    roster = opened(users(tmp_path, lines(own), "records.jsonl"))

    assert list(roster.records()) == [own]


# -- strict


LETTER = {
    "manifest.csv": csv_text(manifest("1.1", users="bulk", orgs="bulk")),
    "orgs.csv": "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\n"
    "school,,,Org,school,,\n",
    "users.csv": "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,"
    "userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,"
    "grades,password\n"
    "s-1,,,true,school,student,canary,,Canary,Canary,,,,,,,05,\n"
    "u-1,,,true,school,administrator,canary3,,Canary,Canary,,,,,,,,\n",
}


def test_a_1_1_set_by_the_letter_is_read_when_strict(tmp_path: Path) -> None:
    roster = read(tmp_path, LETTER, strict=True)

    assert (roster.count[:4], codes(roster)) == ((1, 1, 0, 0), {"role-administrator": 1})


def test_a_row_that_leniently_only_gets_a_note_is_refused_when_strict(tmp_path: Path) -> None:
    row = "s-2,,,TRUE,school,student,canary2,,Canary,Canary,,,,,,,05,\n"
    files = LETTER | {"users.csv": LETTER["users.csv"] + row}

    roster = read(tmp_path, files, strict=True)

    assert list(records(roster)) == ["s-1", "u-1"]
    assert wrong(roster)[0].startswith("value-form users.csv:4: enabledUser")
    assert roster.count[:4] == (1, 1, 0, 1)


def test_a_1_2_set_by_the_letter_is_read_when_strict(tmp_path: Path) -> None:
    files = LETTER | {
        "manifest.csv": csv_text(manifest("1.2", users="bulk", orgs="bulk", roles="bulk")),
        "users.csv": "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,"
        "familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password,"
        "userMasterIdentifier,preferredGivenName,preferredMiddleName,preferredFamilyName,"
        "primaryOrgSourcedId,pronouns\ns-1,,,true,canary,,Canary,Canary,,,,,,,05,,,,,,school,\n",
        "roles.csv": "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,"
        "endDate,orgSourcedId,userProfileSourcedId\nr-1,,,s-1,primary,student,,,school,\n",
    }

    roster = read(tmp_path, files, strict=True)

    assert (roster.count[:4], codes(roster)) == ((1, 0, 0, 0), {})


@pytest.mark.parametrize(
    ("name", "old", "new", "why"),
    [
        ("manifest.csv", None, "", "there is no manifest.csv"),
        ("users.csv", "familyName,", "FamilyName,", "users.csv: a column goes by another name"),
        ("users.csv", "givenName,familyName", "familyName,givenName", "not in the order"),
        (
            "users.csv",
            ",grades,",
            ",metadata.grades,",
            "grades: a column of the standard is",
        ),
        ("users.csv", ",", ";", "users.csv: columns are not separated by commas"),
    ],
)
def test_a_package_that_is_not_by_the_letter_is_refused_when_strict(
    tmp_path: Path, name: str, old: str | None, new: str, why: str
) -> None:
    files = dict(LETTER)
    if old is None:
        del files[name]
    else:
        files[name] = files[name].replace(old, new)

    with pytest.raises(ConfigError, match=rf"differs from the standard: .*{why}") as caught:
        read(tmp_path, files, strict=True)

    assert "Canary" not in str(caught.value)


def test_only_the_first_of_many_refusals_are_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"; and \d+ more$"):
        read(tmp_path, school(child()), strict=True)


# -- what a roster is


def test_a_roster_is_gone_when_it_is_closed(tmp_path: Path) -> None:
    with read_roster(folder(tmp_path / "roster", school(child()))) as roster:
        assert repr(roster) == (
            "<Roster OneRoster 1.1: RosterCount(students=1, users=0, links=0, left_out=0, rows=1, "
            "repeated=0)>"
        )

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        list(roster.records())


@pytest.mark.filterwarnings("error")
def test_a_roster_that_cannot_be_read_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_roster(folder(tmp_path / "roster", {"users.csv": "a,b\n"}), ReadOptions())

    gc.collect()  # an open database or file would warn


def test_a_statement_of_many_seconds_ends_when_nobody_waits_for_it() -> None:
    token = IS_UNWANTED.set(lambda: True)
    database = _database.RosterDatabase()
    IS_UNWANTED.reset(token)
    endless = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n FROM n) SELECT count(*) FROM n"

    with pytest.raises(ConfigError, match="interrupted"), _database.writing():
        database.connection.execute(endless)
    database.close()


def test_a_temporary_disk_that_is_full_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_database, "SCHEMA", f"PRAGMA max_page_count=30;{_database.SCHEMA}")
    people = [child(f"s-{number}") for number in range(1000)]

    with pytest.raises(ConfigError, match=r"database or disk is full\); free disk space, or set"):
        read(tmp_path, school(*people))


def test_nothing_personal_stands_in_any_finding(tmp_path: Path) -> None:
    people = (
        child("s-1", "u-9", phone="Canary", status="Canary"),
        child("s-2", enabledUser="Canary"),
        child("s-3", role="Canary"),
        child("s-4", grades="Canary"),
        child("s-5", username=""),
        child("s-6", "s-1"),
        child("s-7", userIds="{Canary:Canary}", username="canary-s-1"),
        child("s-8", userIds="{Canary:Canary}"),
        child("s-8", givenName="CanaryOther"),
    )
    births = [
        {"sourcedId": f"s-{n}", "birthDate": text} for n, text in ((1, "Canary"), (6, "1/2/2010"))
    ]
    profiles = "Canary,canary@canary.example,CanaryPassword\r\nCanary,canary,CanaryPassword\r\n"
    files = school(*people, demographics=births) | {"userProfiles.csv": profiles}
    files["users.csv"] += 'Canary,Canary\r\n"Canary"Canary,\r\n'

    roster = read(tmp_path, files)

    found = "".join(
        str(each) + repr(each) for cause in roster.findings.causes for each in cause.examples
    )
    assert len(codes(roster)) > 10
    assert "canary" not in found.lower()
    assert "canary" not in repr(roster).lower()
    assert "canary" not in json.dumps([str(cause) for cause in roster.findings.causes]).lower()


# -- findings


def test_findings_are_grouped_by_cause_the_worst_first_and_causes_before_consequences() -> None:
    findings = Findings()
    for line in range(1500):
        findings.add("agent-unknown", "users.csv", line, "agentSourcedIds", f"u-{line}")
        findings.add("value-form", "users.csv", line, "role")
    findings.add("value-missing", "users.csv", 8, "familyName")
    findings.add("org-unknown", "users.csv", 7, "orgSourcedIds", "gone")
    findings.add("name-prefix", detail="x_")

    assert [(each.code, each.count) for each in findings.causes] == [
        ("value-missing", 1),
        ("agent-unknown", 1500),
        ("org-unknown", 1),
        ("name-prefix", 1),
        ("value-form", 1500),
    ]
    assert len(findings.causes[-1].examples) == 1000
    assert findings.errors == 1501
    assert findings.severities == {"error": 1501, "warning": 1, "note": 1501}
    assert str(findings.causes[1]) == "users.csv: agentSourcedIds: an agent is not in users.csv"
    assert str(findings.causes[3]) == "the file names begin with a common prefix"
    assert str(findings.causes[3].examples[0]) == (
        "package: the file names begin with a common prefix (x_)"
    )


def test_accepted_findings_are_counted_and_come_after_the_others_of_their_severity() -> None:
    findings = Findings(accepted=["row-width"])
    for line in (2, 3):
        findings.add("row-width", "users.csv", line)
    findings.add("agent-unknown", "users.csv", 4)
    findings.add("name-prefix")

    assert [(each.code, each.is_accepted) for each in findings.causes] == [
        ("agent-unknown", False),
        ("row-width", True),
        ("name-prefix", False),
    ]
    assert (findings.errors, findings.unaccepted) == (3, 1)
    assert findings.causes[1].examples[0].is_accepted


def test_a_finding_says_where_and_what() -> None:
    assert str(Finding("row-width", "error", "users.csv", 7)) == (
        "users.csv:7: the row does not have as many cells as the header"
    )


@pytest.mark.parametrize("code", CODES)
def test_every_code_says_what_to_do_and_is_no_milder_when_strict(code: str) -> None:
    order = ("note", "warning", "error")

    assert CODES[code].says
    assert CODES[code].advice
    assert order.index(CODES[code].by_the_letter) >= order.index(CODES[code].severity)
    assert Findings(strict=True).add(code) == CODES[code].by_the_letter


def test_people_of_several_files_are_one_roster(tmp_path: Path) -> None:
    layout = mapping(
        tmp_path / "map.toml",
        '[pupils]\ntarget="users"\n[adults]\ntarget="users"\n'
        '[roles_a]\ntarget="roles"\n[roles_b]\ntarget="roles"\n[sites]\ntarget="orgs"\n'
        '[births_a]\ntarget="demographics"\n[births_b]\ntarget="demographics"\n'
        '[accounts_a]\ntarget="userprofiles"\n[accounts_b]\ntarget="userprofiles"\n',
    )
    plain = [
        {name: cell for name, cell in row.items() if name not in ("role", "orgSourcedIds")}
        for row in (person("s-1", agentSourcedIds="u-1"), person("u-1", username=""))
    ]
    births = [{"sourcedId": own, "birthDate": "2010-04-01"} for own in ("s-1", "u-1")]
    accounts = [{"userSourcedId": own, "username": f"canary-{own}"} for own in ("s-1", "u-1")]
    files = {
        "pupils.csv": csv_text(plain[:1]),
        "adults.csv": csv_text(plain[1:]),
        "sites.csv": csv_text([org()]),
        "roles_a.csv": csv_text([role("s-1")]),
        "roles_b.csv": csv_text([role("u-1", "parent")]),
        "births_a.csv": csv_text(births[:1]),
        "births_b.csv": csv_text(births[1:]),
        "accounts_a.csv": csv_text(accounts[:1]),
        "accounts_b.csv": csv_text(accounts[1:]),
    }

    roster = opened(folder(tmp_path / "roster", files), layout=layout)

    assert (roster.count[:4], wrong(roster)) == ((1, 1, 1, 0), [])
    assert set(roster.sources) == {"pupils.csv", "adults.csv"}
    parent = records(roster)["u-1"]
    assert isinstance(parent, User)
    assert (parent.username, bool(parent.demographics)) == ("canary-u-1", True)


def test_in_a_full_set_the_only_role_makes_the_relation_though_it_is_secondary(
    tmp_path: Path,
) -> None:
    people = [
        {name: cell for name, cell in row.items() if name not in ("role", "orgSourcedIds")}
        for row in (child("s-1", "u-1"), adult("u-1"))
    ]
    roles = [role("s-1"), role("u-1", "guardian", "secondary")]

    between = records(read(tmp_path, school(*people, version="1.2", roles=roles)))["s-1+u-1"]

    assert isinstance(between, AgentLink)
    assert between.relationship_type == "guardian"


@pytest.mark.parametrize("names", [("", "Canary"), ("Canary", "")])
def test_of_two_rows_of_one_id_one_that_is_wrong_is_not_the_other(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    roster = read(tmp_path, school(*(child("s-1", givenName=name) for name in names)))

    assert list(roster.records()) == []
    assert codes(roster)["value-missing"] == 1
    assert codes(roster)["duplicate-different"] == 2


def test_a_few_dated_rows_make_no_delta(tmp_path: Path) -> None:
    roster = read(tmp_path, school(dated(child("s-1")), child("s-2"), child("s-3")))

    assert not roster.sources["users.csv"].is_doubtful


def test_every_row_of_a_long_file_is_read_once(tmp_path: Path) -> None:
    roster = read(tmp_path, school(*(child(f"s-{n}") for n in range(1001))))

    assert roster.count[:4] == (1001, 0, 0, 0)
    assert "duplicate-same" not in codes(roster)


def test_a_relation_of_somebody_who_is_not_there_is_told(tmp_path: Path) -> None:
    roster = related(tmp_path, "s-9,u-1,aunt\n", adult("u-1"))

    assert wrong(roster) == [
        "agent-unknown relationships.csv:2: agentSourcedIds: an agent is not in users.csv (s-9)"
    ]


def test_a_relation_that_both_sides_tell_alike_is_one(tmp_path: Path) -> None:
    rows = "s-1,u-1,aunt\nu-1,s-1,aunt\ns-2,u-1,mother\n"

    roster = related(tmp_path, rows, child("s-1"), child("s-2"), adult("u-1"))

    assert wrong(roster) == []


def test_people_without_usernames_are_not_taken_for_one(tmp_path: Path) -> None:
    roster = read(tmp_path, school(adult("u-1", username=""), adult("u-2", username="")))

    assert "same-person" not in codes(roster)


def test_a_link_of_a_delta_between_two_students_is_told(tmp_path: Path) -> None:
    people = child("s-1", "s-2"), child("s-2")

    assert codes(read(tmp_path, school(*people, mode="delta")))["agent-neither"] == 1


def test_every_row_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    torn = related(tmp_path, "s-1,,x\n,u-1,\n", child("s-1"), adult("u-1"))
    broken = opened(users(tmp_path / "lines", b"{\n{\n", "records.jsonl"))

    assert torn.sources["relationships.csv"].unreadable == broken.count.left_out == 2
