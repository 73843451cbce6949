"""What a run will send: compared with what earlier runs wrote, and nothing removed by accident."""

import re
import tracemalloc
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.support.districts import EVERYTHING, Files
from tests.support.rosters import (
    FAMILY,
    adult,
    child,
    codes,
    csv_text,
    lines,
    manifest,
    opened,
    read,
    role,
    school,
    users,
    wrong,
)
from timeback_async import AgentKey, AgentLink, Student, User
from timeback_async.errors import ConfigError, SessionError
from timeback_async.models.ids import agent_id_of
from timeback_async.sync import Entry, Plan, State, plan
from timeback_async.sync._planning.plan import Change
from timeback_async.sync._running.job import OUTCOME_IN_STATE


class Night(NamedTuple):
    """What was planned in one run."""

    changes: list[Change]
    plan: Plan
    codes: dict[str, int]
    changing: list[str]
    moved: list[tuple[str, str]]
    plan_has_gaps: bool
    said_absent: list[str]

    @property
    def said(self) -> list[str]:
        return [f"{each.action} {each.kind} {each.sourced_id}" for each in self.changes]


def compared(
    state: State,
    path: Path,
    files: Files,
    options: Mapping[str, Any] | None = None,
    **how: Any,
) -> Night:
    """Compare files with a state, and send nothing."""
    with read(path, files, **options or {}) as roster:
        found = plan(roster, state, **how)
        ids = list(found.changing()), list(found.changed_source())
        absent = [each for each in roster.findings.causes if each.code == "absent"]
        named = [finding.detail for cause in absent for finding in cause.examples]
        return Night(list(found), found, codes(roster), *ids, found.has_gaps, named)


def night(state: State, path: Path, files: Files, **how: Any) -> Night:
    """Compare files with a state, and note everything as done."""
    tonight = compared(state, path, files, **how)
    state.write(lines(ended(tonight.changes)))
    state.settle()
    return tonight


def ended(changes: Iterable[Change], outcome: str = "") -> list[Entry]:
    return [
        each.known._replace(outcome=outcome or OUTCOME_IN_STATE[each.phase]) for each in changes
    ]


@pytest.fixture(params=["hashed", "plain"])
def state(request: pytest.FixtureRequest) -> Any:
    with State(None, ids=request.param) as opened:
        yield opened


# -- what is new, and what has changed


def test_everything_is_new_to_an_empty_state_people_before_links(
    tmp_path: Path, state: State
) -> None:
    found = compared(state, tmp_path, school(*FAMILY))

    assert found.said == [
        "create student s-1",
        "create student s-2",
        "create user u-1",
        "link agent s-1",
        "link agent s-2",
    ]
    assert [type(each.record) for each in found.changes] == [Student] * 2 + [User] + [AgentLink] * 2
    assert [each.line for each in found.changes] == [2, 3, 4, 2, 3]
    assert {each.file for each in found.changes} == {"users.csv"}
    assert found.plan.counts == {("people", "create"): 3, ("links", "link"): 2}
    assert (found.plan.total(), found.plan.total("links"), found.plan.total("unlinks")) == (5, 2, 0)


@pytest.mark.parametrize("modes", [{}, {"roles": "delta", "users": "bulk", "orgs": "bulk"}])
def test_a_state_that_knows_others_alone_leads_to_the_same_plan_as_an_empty_one(
    tmp_path: Path, state: State, modes: dict[str, str]
) -> None:
    people = [*FAMILY, child("s-3", "u-1", status="tobedeleted"), child("s-4", status="inactive")]
    more = {"role": "", "orgSourcedIds": ""}
    people += [child("s-5", **more), child("s-6", status="tobedeleted", givenName="", **more)]
    two = {"orgSourcedIds": "a,b"}  # either of which may be the primary one
    people += [child("s-7", **two), child("s-8", status="tobedeleted", **two)]
    files = school(*people, version="1.2", roles=[role("s-5"), role("u-1", "parent")])
    if modes:
        files["manifest.csv"] = csv_text(manifest(version="1.2", **modes))
    empty = compared(state, tmp_path, files)
    others = Entry("other", "student", b"", "saved", 200, 1, 0.0, "others")
    state.write(lines([others]))
    state.settle()

    known = compared(state, tmp_path, files)

    assert known.changes == empty.changes != []
    assert known.plan.counts == empty.plan.counts
    assert (known.changing, known.plan_has_gaps) == (empty.changing, empty.plan_has_gaps)


def test_what_the_server_holds_is_not_sent_again(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))

    again = compared(state, tmp_path, school(*FAMILY))

    assert again.said == []
    assert again.plan.unchanged == 5


def test_the_order_of_rows_and_columns_changes_nothing(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))

    again = [dict(reversed(row.items())) for row in reversed(FAMILY)]

    assert compared(state, tmp_path, school(*again)).said == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (child("s-1", "u-1", givenName="Canary new"), ["update student s-1"]),
        (child("s-1", "u-1", status="inactive"), ["update student s-1"]),
        (child("s-1", "u-1", status="tobedeleted"), ["deactivate student s-1"]),
        (adult("u-1", "guardian"), ["update user u-1", "relink agent s-1", "relink agent s-2"]),
        (child("s-2"), []),
        (adult("u-2"), ["create user u-2"]),
        (child("s-3", "u-1"), ["create student s-3", "link agent s-3"]),
        (adult("u-1", agents="s-1,s-2"), []),
    ],
)
def test_only_what_has_changed_is_sent(
    tmp_path: Path, state: State, row: dict[str, str], said: list[str]
) -> None:
    night(state, tmp_path, school(*FAMILY))
    rows = {each["sourcedId"]: each for each in [*FAMILY, row]}

    tonight = compared(state, tmp_path, school(*rows.values()))

    assert tonight.said == said
    # What the state knows already, and has to doubt while it is being changed.
    assert sorted(tonight.changing) == sorted(
        each.known.id for each in tonight.changes if each.action not in ("create", "link")
    )


def test_whom_the_files_delete_is_deactivated_once_and_last(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))
    files = school(child("s-1", "u-1", status="toBeDeleted"), adult("u-1"), child("s-3"))

    first, second = (night(state, tmp_path, files) for _ in range(2))

    assert first.said == ["create student s-3", "deactivate student s-1"]
    record = first.changes[-1].record
    assert isinstance(record, Student)
    assert record.status == "tobedeleted"
    assert second.said == []
    assert second.plan.absent == {"student": 1}  # s-2 alone


def test_a_user_who_becomes_a_student_is_sent_as_one(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(adult("x-1"), child("s-1", "x-1")))

    tonight = night(state, tmp_path, school(child("x-1"), child("s-1")))

    assert tonight.said == ["update student x-1"]
    assert isinstance(tonight.changes[0].record, Student)
    assert state.held() == {"student": 2, "agent": 1}


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_what_did_not_end_well_is_sent_again(tmp_path: Path, state: State, outcome: str) -> None:
    first = compared(state, tmp_path, school(*FAMILY))
    state.write(lines(each._replace(hash=None) for each in ended(first.changes, outcome)))
    state.settle()

    second = night(state, tmp_path, school(*FAMILY))

    known = {"create": "update", "link": "relink"} if outcome == "unknown" else {}
    words = [each.split(" ", 1) for each in first.said]
    assert second.said == [f"{known.get(action, action)} {what}" for action, what in words]
    assert compared(state, tmp_path, school(*FAMILY)).said == []


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_a_change_in_doubt_is_sent_again_though_the_file_goes_back(
    tmp_path: Path, state: State, outcome: str
) -> None:
    night(state, tmp_path, school(child("s-1", givenName="Canary")))
    changed = compared(state, tmp_path, school(child("s-1", givenName="Canary B")))
    state.write(lines(each._replace(hash=None) for each in ended(changed.changes, outcome)))
    state.settle()

    back = compared(state, tmp_path, school(child("s-1", givenName="Canary")))

    assert back.said == ["update student s-1"]


# -- what is no longer there


def test_absence_removes_nothing_by_itself(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))

    tonight = compared(state, tmp_path, school(child("s-1")))

    assert tonight.said == []
    assert tonight.plan.absent == {"student": 1, "user": 1, "agent": 1}
    assert tonight.codes["absent"] == 3
    secret = "hashed id " if state.ids == "hashed" else ""
    assert tonight.said_absent == [
        "agent",
        f"student {secret}{state.id_of('s-2')}",
        f"user {secret}{state.id_of('u-1')}",
    ]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"deactivate_absent": True}, ["deactivate s-2", "deactivate u-1"]),
        ({"unlink_absent": True}, ["unlink s-1"]),
        (EVERYTHING, ["unlink s-1", "deactivate s-2", "deactivate u-1"]),
    ],
)
def test_what_is_absent_is_removed_once_when_that_is_asked_for(
    tmp_path: Path, state: State, how: dict[str, Any], said: list[str]
) -> None:
    night(state, tmp_path, school(*FAMILY))
    files = school(child("s-1"))
    how = {"max_removals": "100%", **how}

    tonight = night(state, tmp_path, files, **how)

    # Of who is absent only the state knows, and may know no id.
    known = [(each.action, each.sourced_id) for each in tonight.changes]
    expected = [
        (action, own if action == "unlink" else state.id_of(own))
        for action, own in map(str.split, said)
    ]
    assert sorted(known) == sorted(expected)
    assert [each.action for each in tonight.changes] == [each.split()[0] for each in said]
    assert compared(state, tmp_path, files, **how).said == []


def test_a_link_is_deleted_by_its_own_id(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))

    (change,) = compared(state, tmp_path, school(child("s-1"), *FAMILY[1:]), **EVERYTHING).changes

    assert change.record == AgentKey("s-1", agent_id_of("s-1", "u-1"))
    assert (change.phase, change.file, change.line) == ("unlinks", "", 0)


def test_who_comes_back_is_sent_again(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))
    night(state, tmp_path, school(child("s-1"), adult("u-1")), **EVERYTHING)

    assert compared(state, tmp_path, school(*FAMILY)).said == [
        "update student s-2",
        "relink agent s-1",
    ]


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_a_removal_in_doubt_is_repeated_and_undone_when_they_come_back(
    tmp_path: Path, state: State, outcome: str
) -> None:
    night(state, tmp_path, school(*FAMILY))
    fewer = school(child("s-1"), adult("u-1"))
    removed = compared(state, tmp_path, fewer, **EVERYTHING)
    state.write(lines(each._replace(hash=None) for each in ended(removed.changes, outcome)))
    state.settle()

    assert compared(state, tmp_path, fewer, **EVERYTHING).said == removed.said
    back = compared(state, tmp_path, school(*FAMILY), **EVERYTHING)
    assert back.said == ["update student s-2", "relink agent s-1"]


# -- absence is judged only where a full set says so


def without(column: str, *rows: dict[str, str]) -> list[dict[str, str]]:
    return [{name: cell for name, cell in row.items() if name != column} for row in rows]


def dated(*rows: dict[str, str]) -> list[dict[str, str]]:
    return [row | {"status": "active", "dateLastModified": "2026-01-01"} for row in rows]


ONE = child("s-1", "u-1")
TWO = [ONE, adult("u-1")]
JUDGED = [
    pytest.param(school(ONE), True, id="bulk"),
    pytest.param(school(ONE, mode="delta"), False, id="delta"),
    pytest.param(school(*dated(ONE)), False, id="looks-like-a-delta"),
    pytest.param(
        {"manifest.csv": "propertyName,value\nfile.users,absent\n"}, False, id="file-not-there"
    ),
    pytest.param(school(ONE, adult("u-1", givenName="")), False, id="row-invalid"),
    pytest.param(school(ONE, adult("u-1", role="wizard")), False, id="role-unknown"),
    pytest.param(school(ONE, adult("u-1"), adult("u-1", phone="1")), False, id="row-twice"),
    pytest.param(school(ONE, adult("")), False, id="id-missing"),
    pytest.param(
        {**school(ONE), "users.csv": school(ONE)["users.csv"] + "u-1,true\r\n"},
        False,
        id="row-too-short",
    ),
]


@pytest.mark.parametrize(("files", "is_judged"), JUDGED)
def test_a_person_is_absent_only_where_a_full_set_says_so(
    tmp_path: Path, state: State, files: Files, is_judged: bool
) -> None:
    night(state, tmp_path / "first", school(*TWO))

    tonight = compared(state, tmp_path / "second", files, **EVERYTHING)

    said = [f"deactivate user {state.id_of('u-1')}"] if is_judged else []
    assert [each for each in tonight.said if "update" not in each] == said


def test_rows_without_an_id_that_can_be_read_are_told_where_they_hide_absence(
    tmp_path: Path, state: State
) -> None:
    night(state, tmp_path, school(*TWO))

    tonight = compared(state, tmp_path, school(ONE, adult("")), **EVERYTHING)

    assert tonight.codes["absence-doubtful"] == 1
    assert tonight.plan.absent == {"user": 1}


LINKS = [
    pytest.param(school(child("s-1"), adult("u-1")), True, id="bulk"),
    pytest.param(school(*without("agentSourcedIds", *TWO)), False, id="no-column"),
    pytest.param(school(child("s-1"), adult("u-1"), mode="delta"), False, id="delta"),
    pytest.param(school(child("s-1", givenName=""), adult("u-1")), False, id="student-invalid"),
    pytest.param(school(child("s-1"), adult("u-1", givenName="")), False, id="agent-invalid"),
    pytest.param(school(adult("u-1")), False, id="student-gone"),
    pytest.param(school(child("s-1")), True, id="agent-gone"),
    pytest.param(school(child("s-1", "u-1")), False, id="agent-gone-but-named"),
    pytest.param(school(child("s-1"), adult("u-1", agents="s-1")), False, id="other-direction"),
    pytest.param(school(child("s-1", "u-1"), adult("u-1", "aide")), False, id="no-relation"),
    pytest.param(school(child("s-1"), adult("u-1"), adult("")), False, id="id-missing"),
    pytest.param(
        school(child("s-1", "u-1", status="tobedeleted"), adult("u-1")), False, id="deleted"
    ),
]


@pytest.mark.parametrize(("files", "is_judged"), LINKS)
def test_a_link_is_absent_only_where_a_full_set_says_so(
    tmp_path: Path, state: State, files: Files, is_judged: bool
) -> None:
    night(state, tmp_path, school(*TWO))

    tonight = compared(state, tmp_path, files, unlink_absent=True, max_removals="100%")

    unlinked = [each for each in tonight.said if each.startswith("unlink")]
    assert unlinked == (["unlink agent s-1"] if is_judged else [])


def test_links_of_another_file_are_not_judged_by_this_one(tmp_path: Path, state: State) -> None:
    people = without("agentSourcedIds", *TWO)
    roles = [
        role("s-1", isPrimary="true", sessionSourcedId=""),
        role("u-1", "parent", isPrimary="true", sessionSourcedId=""),
    ]
    pair = {"userSourcedId": "s-1", "relationshipUserSourcedId": "u-1", "relationshipRole": ""}
    with_links = school(*people, version="", roles=roles, relationships=[pair])
    without_them = school(*people, version="", roles=roles)

    first = night(state, tmp_path / "1", with_links)
    second = compared(state, tmp_path / "2", without_them, **EVERYTHING)

    assert first.plan.total("links") == 1
    assert second.said == []
    assert second.plan.absent == {}


def test_what_comes_from_another_file_by_now_is_judged_by_that(
    tmp_path: Path, state: State
) -> None:
    path = tmp_path / "map.toml"
    path.write_text('[teachers]\ntarget = "users"\n[pupils]\ntarget = "users"\n')
    options = {"layout": path}
    teachers, pupils = ({"users": rows} for rows in ([adult("t-1", "teacher")], [child("s-1")]))
    table = {
        name: school(*rows["users"])["users.csv"] for name, rows in (("t", teachers), ("p", pupils))
    }
    first = {"teachers.csv": table["t"], "pupils.csv": table["p"]}
    moved = {
        "teachers.csv": school(adult("t-1", "teacher"), child("s-1"))["users.csv"],
        "pupils.csv": school(child("s-9"))["users.csv"],
    }
    night(state, tmp_path / "1", first, options=options)

    second = compared(state, tmp_path / "2", moved, options=options, **EVERYTHING)

    assert second.said == ["create student s-9"]
    assert list(second.moved) == [("teachers", state.id_of("s-1"))]


# -- never too many at once


@pytest.mark.parametrize(
    ("limit", "people", "is_allowed"),
    [
        (2, 2, True),
        ("2", 2, True),
        (1, 2, False),
        (0, 1, False),
        ("0%", 1, False),
        ("5%", 1, True),  # of twenty
        ("5%", 2, False),
        ("9%", 2, False),
        ("10%", 2, True),
        ("95%", 19, True),
        ("150%", 19, True),
        (0, 0, True),
    ],
)
def test_a_plan_that_removes_too_many_people_is_refused(
    tmp_path: Path, state: State, limit: int | str, people: int, is_allowed: bool
) -> None:
    rows = [child(f"s-{n}") for n in range(12)] + [adult(f"u-{n}") for n in range(8)]
    night(state, tmp_path, school(*rows))
    files = school(*rows[people:], adult("u-new"))

    if is_allowed:
        tonight = compared(state, tmp_path, files, deactivate_absent=True, max_removals=limit)
        assert tonight.plan.total("deactivations") == people
    else:
        with pytest.raises(ConfigError, match=r"Nothing was sent. Is the export complete"):
            compared(state, tmp_path, files, deactivate_absent=True, max_removals=limit)


def test_a_state_that_knows_nobody_of_a_roster_is_no_reason_to_remove_everybody(
    tmp_path: Path, state: State
) -> None:
    night(state, tmp_path, school(*FAMILY))

    with pytest.raises(
        ConfigError, match=r"contains none of this roster's people.* Nothing was sent"
    ):
        compared(state, tmp_path, school(child("x-1"), adult("x-2")), **EVERYTHING)
    assert compared(state, tmp_path, school(child("x-1"))).said == ["create student x-1"]


def test_links_are_counted_by_themselves(tmp_path: Path, state: State) -> None:
    rows = [child(f"s-{n}", "u-1") for n in range(10)]
    night(state, tmp_path, school(*rows, adult("u-1")))
    fewer = school(*(row | {"agentSourcedIds": ""} for row in rows[:2]), *rows[2:], adult("u-1"))

    with pytest.raises(ConfigError, match=r"2 links are no longer .* only 1 may be"):
        compared(state, tmp_path, fewer, unlink_absent=True, max_removals="19%")
    allowed = compared(state, tmp_path, fewer, unlink_absent=True, max_removals="20%")
    assert sorted(allowed.said) == ["unlink agent s-0", "unlink agent s-1"]


def test_the_default_is_five_in_a_hundred(tmp_path: Path, state: State) -> None:
    rows = [child(f"s-{n}") for n in range(100)]
    night(state, tmp_path, school(*rows))

    five = compared(state, tmp_path, school(*rows[5:]), deactivate_absent=True)

    assert five.plan.total() == 5
    with pytest.raises(ConfigError, match=r"6 people .* only 5 may be"):
        compared(state, tmp_path, school(*rows[6:]), deactivate_absent=True)


def test_what_the_files_delete_themselves_is_not_counted(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))
    rows = [row | {"status": "tobedeleted"} for row in FAMILY]

    assert compared(state, tmp_path, school(*rows), max_removals=0).plan.total() == 3


@pytest.mark.parametrize("limit", ["", "five", "-1", "5 %", "1.5%", "%", -1])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, state: State, limit: int | str) -> None:
    with pytest.raises(ConfigError, match="max_removals: must be a number, or a share"):
        compared(state, tmp_path, school(*FAMILY), max_removals=limit)


# -- other options, and deltas


def test_other_options_are_told_where_a_delta_cannot_hold_all_they_change(
    tmp_path: Path, state: State
) -> None:
    with read(tmp_path, school(*FAMILY)) as roster:
        state.note(fingerprint=roster.fingerprint)
    delta, bulk = school(*FAMILY, mode="delta"), school(*FAMILY)

    assert "options-changed" not in compared(state, tmp_path, delta).codes
    other = {"default_org": "org-9"}
    assert compared(state, tmp_path, delta, options=other).codes["options-changed"] == 1
    assert "options-changed" not in compared(state, tmp_path, bulk, options=other).codes


def test_other_options_send_what_they_change(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))

    tonight = compared(state, tmp_path, school(*FAMILY), options={"grades": "none"})

    assert tonight.said == ["update student s-1", "update student s-2"]


def test_a_delta_may_name_an_agent_who_is_linked_already(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))
    delta = school(child("s-1", "u-1,u-9", givenName="Canary new"), mode="delta")

    tonight = compared(state, tmp_path, delta)

    assert tonight.said == ["update student s-1"]
    assert tonight.codes["agent-unknown"] == 1


# -- as it is looked at


@pytest.mark.parametrize(
    ("rows", "unchanged", "removed"),
    [
        ([child(f"s-{n}", "u-1,u-9") for n in range(2000)], 4001, 0),
        ([], 1, 2000),
    ],
    ids=["all-unchanged", "all-absent"],
)
def test_memory_does_not_follow_the_number_of_people(
    tmp_path: Path, rows: list[dict[str, str]], unchanged: int, removed: int
) -> None:
    with State(None) as state:
        known = [child(f"s-{n}", "u-1") for n in range(2000)]
        night(state, tmp_path, school(adult("u-1"), *known))
        with read(tmp_path, school(adult("u-1"), *rows)) as roster:
            tracemalloc.start()
            found = plan(roster, state, deactivate_absent=True, max_removals="100%")
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()

    assert (found.unchanged, found.total()) == (unchanged, removed)
    assert peak < 300_000


def test_a_roster_is_planned_once(tmp_path: Path, state: State) -> None:
    with read(tmp_path, school(*FAMILY)) as roster:
        plan(roster, state)

        with pytest.raises(SessionError, match="read it again"):
            plan(roster, state)


async def test_a_plan_is_gone_through_without_blocking_the_event_loop(tmp_path: Path) -> None:
    rows = [child(f"s-{n}") for n in range(600)]
    with State(None) as state, read(tmp_path, school(*rows)) as roster:
        found = plan(roster, state)

        assert [change async for change in found] == list(found)


def test_no_repr_of_a_plan_shows_anything_personal(tmp_path: Path, state: State) -> None:
    found = compared(state, tmp_path, school(*FAMILY))

    assert repr(found.plan) == (
        "<Plan {('people', 'create'): 3, ('links', 'link'): 2}, 0 unchanged>"
    )
    assert not re.search("canary", repr(found.changes), re.IGNORECASE)


def test_everything_is_sent_again_where_that_is_asked_for(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))

    again = compared(state, tmp_path, school(*FAMILY), resend=True)

    assert len(again.said) == 5
    assert again.plan.unchanged == 0


def test_nobody_is_looked_up_where_the_files_say_everything(tmp_path: Path, state: State) -> None:
    first = compared(state, tmp_path, school(*FAMILY))
    night(state, tmp_path, school(*FAMILY))
    changed = school(child("s-1", phone="1"), *FAMILY[1:])

    assert not first.plan_has_gaps
    assert not compared(state, tmp_path, changed).plan_has_gaps
    assert compared(
        state, tmp_path, changed | {"manifest.csv": csv_text(manifest(users="delta", orgs="bulk"))}
    ).plan_has_gaps


def test_files_that_hold_nobody_remove_nobody(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))
    nobody = school() | {"users.csv": csv_text([child("")]).partition("\r\n")[0] + "\r\n"}
    nobody["manifest.csv"] = csv_text(manifest(users="bulk", orgs="bulk"))

    with pytest.raises(ConfigError, match="holds no people, so everybody would be removed"):
        compared(state, tmp_path, nobody, **EVERYTHING)


def test_that_changes_alone_tell_nobody_absent_is_said(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))

    asked = compared(state, tmp_path, school(FAMILY[0], mode="delta"), **EVERYTHING)
    not_asked = compared(state, tmp_path, school(FAMILY[0], mode="delta"))

    assert asked.codes["absence-unjudged"] == 1
    assert "absence-unjudged" not in not_asked.codes


# -- links with ids of their own, and records from JSON Lines


def json_lines(path: Path, *records: Any) -> Path:
    return users(path, b"\n".join(map(msgspec.json.encode, records)), "records.jsonl")


def students_of(path: Path, files: Files) -> list[Any]:
    with read(path, files) as roster:
        return [{"student": each} for each in roster.records() if isinstance(each, Student)]


def test_links_of_the_same_people_with_ids_of_their_own_are_known_apart(
    tmp_path: Path, state: State
) -> None:
    links = [{"agent": AgentLink("s-1", "u-1", "parent", own)} for own in ("rel-7", "rel-8")]
    path = json_lines(tmp_path, *links)
    state.write(lines(ended(plan(opened(path), state))))

    again = plan(opened(path), state)

    assert (again.unchanged, again.total()) == (2, 0)
    assert state.held() == {"agent": 2}


def test_a_link_is_the_same_whether_its_file_derives_its_id_or_says_it(
    tmp_path: Path, state: State
) -> None:
    night(state, tmp_path, school(*FAMILY))
    said = AgentLink("s-1", "u-1", "parent", agent_id_of("s-1", "u-1"))

    again = plan(opened(json_lines(tmp_path, {"agent": said})), state)

    assert (again.unchanged, again.total()) == (1, 0)


def test_a_record_of_json_lines_stays_with_the_file_it_is_from(
    tmp_path: Path, state: State
) -> None:
    night(state, tmp_path, school(*FAMILY))

    path = json_lines(tmp_path, *students_of(tmp_path, school(*FAMILY)))
    state.write(lines(ended(plan(opened(path), state))))
    state.settle()

    fewer = compared(state, tmp_path, school(adult("u-1")))
    assert fewer.plan.absent["student"] == 2


def test_json_lines_that_are_a_full_set_tell_who_is_absent(tmp_path: Path, state: State) -> None:
    both = students_of(tmp_path, school(*FAMILY))
    first = json_lines(tmp_path / "both", *both)
    fewer = json_lines(tmp_path / "one", both[0])
    state.write(lines(ended(plan(opened(first, mode="bulk"), state))))

    found = {mode: plan(opened(fewer, mode=mode), state).absent for mode in ("bulk", "delta")}

    assert found == {"bulk": {"student": 1}, "delta": {}}


def test_a_link_that_a_file_of_relations_no_longer_has_is_absent(
    tmp_path: Path, state: State
) -> None:
    path = tmp_path / "map.toml"
    path.write_text('[users]\ntarget = "users"\n[relations]\ntarget = "relationships"\n')
    people = csv_text(without("agentSourcedIds", child("s-1"), child("s-2"), adult("u-1")))
    rows = [{"userSourcedId": own, "relationshipUserSourcedId": "u-1"} for own in ("s-1", "s-2")]
    both, one = (
        {"users.csv": people, "relations.csv": csv_text(some)} for some in (rows, rows[1:])
    )
    night(state, tmp_path / "1", both, options={"layout": path})

    tonight = compared(state, tmp_path / "2", one, options={"layout": path}, **EVERYTHING)

    assert tonight.said == ["unlink agent s-1"]


# -- what is told


def test_two_people_who_name_each_other_without_a_relation_stand_in_no_way(
    tmp_path: Path, state: State
) -> None:
    aide = adult("u-1", "aide", agents="s-1")

    assert compared(state, tmp_path, school(child("s-1", "u-1"), aide)).said == [
        "create student s-1",
        "create user u-1",
    ]


def test_everybody_who_is_absent_is_counted(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY, child("s-3")))

    assert compared(state, tmp_path, school(adult("u-1"))).plan.absent == {"student": 3}


def test_the_first_run_has_no_options_before_it(tmp_path: Path, state: State) -> None:
    assert "options-changed" not in compared(state, tmp_path, school(*FAMILY, mode="delta")).codes


def test_only_the_agent_whom_nobody_knows_is_told_of_a_delta(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, school(*FAMILY))
    with read(tmp_path, school(child("s-1", "u-1,u-9"), mode="delta")) as roster:
        plan(roster, state)

        assert wrong(roster) == [
            "agent-unknown users.csv:2: agentSourcedIds: an agent is not in users.csv (u-9)"
        ]


def test_an_agent_of_a_delta_who_is_there_is_not_taken_for_unknown(
    tmp_path: Path, state: State
) -> None:
    delta = school(child("s-1", "u-1"), adult("u-1", "aide"), mode="delta")

    assert compared(state, tmp_path, delta).codes["agent-role"] == 1
    assert "agent-unknown" not in compared(state, tmp_path, delta).codes
