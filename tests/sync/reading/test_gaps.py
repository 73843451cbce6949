"""What the files leave open stays as TimeBack has it, and what they say is done."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.districts import EVERYTHING, ONCE, District, crowd
from tests.support.rosters import (
    FAMILY,
    adult,
    child,
    csv_text,
    folder,
    manifest,
    org,
    role,
    school,
)
from timeback_async import RetryPolicy, TimebackSession
from timeback_async.errors import ConfigError, SessionError
from timeback_async.sync import ReadOptions, State, plan, read_roster, run
from timeback_async.sync._reading.gaps import Gaps
from timeback_async.testing import Faults, MockServer
from timeback_async.testing._answers import Refusal

BORN = {"birthDate": "2010-05-06"}
BIRTHS = [{"sourcedId": own, **BORN} for own in ("s-1", "s-2")]
ORGS = [org("d-1", "district"), org("school")]
BOTH = {"orgSourcedIds": "d-1,school"}


def bare(row: dict[str, str]) -> dict[str, str]:
    """Return a row of a 1.2 users.csv, whose roles stand elsewhere."""
    return {name: cell for name, cell in row.items() if name not in ("role", "orgSourcedIds")}


TEACHER, STUDENT = bare(adult("t-1")), bare(child("s-1"))
TEACHES = role("t-1", "teacher")
IS_PARENT = role("t-1", "parent", "secondary")


def full(*people: Any, **files: Any) -> dict[str, str]:
    return school(*people, version="1.2", **files)


def delta(*people: Any, **files: Any) -> dict[str, str]:
    return school(*people, version="1.2", mode="delta", **files)


def roles_of(server: MockServer, own: str) -> list[str]:
    return sorted(each["role"] for each in server.users[own]["roles"])


def broken(files: dict[str, str], name: str, line: int) -> dict[str, str]:
    """Return the files with a cell too many in a line of one of them."""
    lines = files[name].splitlines()
    lines[line - 1] += ",stray"
    return files | {name: "\r\n".join(lines) + "\r\n"}


def test_gaps_are_written_and_read_back() -> None:
    for gaps in (Gaps(), Gaps(birth=True), Gaps(roles=True, ended=[("parent", "school")])):
        assert Gaps.from_json(gaps.as_json()) == gaps
    assert Gaps().as_json() == b""


# -- roles


async def test_a_full_set_ends_what_a_delta_had_left(
    district: District, server: MockServer
) -> None:
    await district.sync(full(TEACHER, roles=[TEACHES]))
    await district.sync(delta(TEACHER, roles=[role("t-1", "aide")]))
    both = roles_of(server, "t-1")

    await district.sync(full(TEACHER, roles=[role("t-1", "aide")]))

    assert both == ["aide", "teacher"]
    assert roles_of(server, "t-1") == ["aide"]


async def test_a_delta_ends_a_role_though_its_other_rows_are_known(
    district: District, server: MockServer
) -> None:
    await district.sync(full(TEACHER, roles=[TEACHES, IS_PARENT]))
    await district.sync(delta(TEACHER, roles=[TEACHES]))

    ended = delta(TEACHER, roles=[TEACHES, IS_PARENT | {"status": "tobedeleted"}])
    await district.sync(ended)
    again = await district.sync(ended)

    assert roles_of(server, "t-1") == ["teacher"]
    assert again.report.planned == 0


@pytest.mark.parametrize("name", ["administrator", "ADMINISTRATOR"])
async def test_a_role_ends_under_the_name_it_was_sent_by(
    district: District, server: MockServer, name: str
) -> None:
    leads = role("t-1", "administrator", "secondary")
    await district.sync(full(TEACHER, roles=[TEACHES, leads]))

    ended = leads | {"role": name, "status": "tobedeleted"}
    await district.sync(delta(TEACHER, roles=[IS_PARENT, ended]))

    assert roles_of(server, "t-1") == ["parent", "teacher"]


async def test_a_role_ends_in_the_org_that_it_was_mapped_to(
    district: District, server: MockServer, tmp_path: Path
) -> None:
    options = ReadOptions(default_org="elsewhere", org_map=tmp_path / "orgs.toml")
    (tmp_path / "orgs.toml").write_text('school = "T-1"\n')
    away = IS_PARENT | {"orgSourcedId": "two"}
    for number, files in enumerate(
        [
            full(TEACHER, roles=[TEACHES, away]),
            delta(TEACHER, roles=[TEACHES, away | {"status": "tobedeleted"}]),
        ]
    ):
        path = folder(tmp_path / f"n{number}", files)
        with (
            State(tmp_path / "s.db", server.config()) as state,
            read_roster(path, options) as roster,
        ):
            async with TimebackSession(server.config()) as session:
                assert (await run(session, plan(roster, state))).ok

    assert roles_of(server, "t-1") == ["teacher"]


async def test_a_secondary_role_in_a_delta_moves_nobody_to_another_school(
    district: District, server: MockServer
) -> None:
    orgs = [org(), org("two")]
    await district.sync(full(STUDENT, TEACHER, roles=[role("s-1"), TEACHES], orgs=orgs))
    elsewhere = {"orgSourcedId": "two"}

    added = [
        role("s-1", kind="secondary", **elsewhere),
        role("t-1", "aide", "secondary", **elsewhere),
    ]
    running = await district.sync(delta(STUDENT, TEACHER, roles=added, orgs=orgs))

    assert running.report.ok
    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "school"
    assert server.users["t-1"]["primaryOrg"]["sourcedId"] == "school"
    assert roles_of(server, "t-1") == ["aide", "teacher"]


async def test_whose_primary_role_ends_in_one_school_moves_to_the_other(
    district: District, server: MockServer
) -> None:
    orgs = [org(), org("two")]
    await district.sync(full(TEACHER, roles=[TEACHES], orgs=orgs))

    moved = [TEACHES | {"status": "tobedeleted"}, TEACHES | {"orgSourcedId": "two"}]
    await district.sync(delta(TEACHER, roles=moved, orgs=orgs))

    assert server.users["t-1"]["primaryOrg"]["sourcedId"] == "two"
    assert len(server.users["t-1"]["roles"]) == 1


@pytest.mark.parametrize(
    ("row", "first", "added"),
    [
        (TEACHER, TEACHES, role("t-1", "student", "secondary")),
        (STUDENT, role("s-1"), role("s-1", "parent", "secondary")),
    ],
    ids=["a teacher who studies", "a student who is a parent"],
)
async def test_a_secondary_role_in_a_delta_makes_nobody_something_else(
    district: District, server: MockServer, row: Any, first: Any, added: Any
) -> None:
    await district.sync(full(row, roles=[first]))
    before = dict(server.students), dict(server.users)

    running = await district.sync(delta(row, roles=[added]))

    assert (server.students, server.users) == before
    assert running.report.failures[0].outcome == "invalid"
    assert "the primary role is missing" in running.report.failures[0].reason


async def test_a_secondary_role_in_a_delta_changes_no_link(
    district: District, server: MockServer
) -> None:
    pupil, parent = bare(child("s-1", "t-1")), TEACHER
    await district.sync(full(pupil, parent, roles=[role("s-1"), role("t-1", "parent")]))

    guards = role("t-1", "guardian", "secondary")
    await district.sync(delta(pupil, parent, roles=[role("s-1"), guards]))

    assert [each["relationshipType"] for each in server.agents.values()] == ["parent"]


async def test_a_row_that_cannot_be_read_ends_no_role(
    district: District, server: MockServer
) -> None:
    files = full(TEACHER, roles=[TEACHES, IS_PARENT])
    await district.sync(files)

    running = await district.sync(broken(files, "roles.csv", 3))

    assert roles_of(server, "t-1") == ["parent", "teacher"]
    assert not running.report.ok


# -- people whose roles are not in the files


async def test_a_delta_without_roles_changes_people_as_what_they_are(
    district: District, server: MockServer
) -> None:
    pupil = bare(child("s-1", "p-1"))
    parent = bare(adult("p-1"))
    has = [role("s-1"), role("p-1", "parent"), TEACHES, IS_PARENT]
    await district.sync(full(pupil, parent, TEACHER, roles=has))
    known = server.agents.copy()

    renamed = [row | {"phone": "1", "username": ""} for row in (pupil, parent, TEACHER)]
    running = await district.sync(delta(*renamed))
    again = await district.sync(delta(*renamed))

    assert running.report.ok
    assert running.report.read["students"] + running.report.read["users"] == 3
    assert {each["phone"] for each in (*server.students.values(), *server.users.values())} == {"1"}
    assert server.students["s-1"]["grades"] == ["5"]
    assert server.students["s-1"]["username"] == "canary-s-1"
    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "school"
    assert roles_of(server, "t-1") == ["parent", "teacher"]
    assert server.agents == known
    assert again.report.planned == 0
    assert district.held() == {"student": 1, "user": 2, "agent": 1}


async def test_a_delta_removes_people_together_with_their_roles(
    district: District, server: MockServer
) -> None:
    has = [role("s-1"), TEACHES]
    await district.sync(full(STUDENT, TEACHER, roles=has))
    gone = {"status": "tobedeleted"}

    running = await district.sync(
        delta(STUDENT | gone, TEACHER | gone, roles=[each | gone for each in has])
    )

    assert running.report.ok
    assert server.students["s-1"]["status"] == server.users["t-1"]["status"] == "tobedeleted"
    assert roles_of(server, "t-1") == ["teacher"]


async def test_a_primary_org_that_a_delta_says_is_where_they_go(
    district: District, server: MockServer
) -> None:
    await district.sync(full(STUDENT, TEACHER, roles=[role("s-1"), TEACHES]))

    moved = {"primaryOrgSourcedId": "two"}
    await district.sync(delta(STUDENT | moved, TEACHER | moved, orgs=[org("two")]))

    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "two"
    assert server.users["t-1"]["primaryOrg"]["sourcedId"] == "two"


@pytest.mark.parametrize(
    ("first", "roles", "reason"),
    [
        (None, [], "TimeBack has no such user"),
        ([TEACHES], [TEACHES | {"status": "tobedeleted"}], "have all ended"),
    ],
)
async def test_who_has_no_role_left_is_not_sent(
    district: District, server: MockServer, first: Any, roles: Any, reason: str
) -> None:
    if first:
        await district.sync(full(TEACHER, roles=first))
    before = dict(server.users)

    running = await district.sync(delta(TEACHER | {"phone": "1"}, roles=roles))

    assert reason in running.report.failures[0].reason
    assert running.report.failures[0].kind == "person"
    assert server.users == before


async def test_a_student_without_an_org_anywhere_is_not_sent(
    district: District, server: MockServer
) -> None:
    await district.sync(full(STUDENT, roles=[role("s-1")]))
    server.students["s-1"]["primaryOrg"] = None

    running = await district.sync(delta(STUDENT | {"phone": "1"}))

    assert "primaryOrg: is in no file" in running.report.failures[0].reason
    assert "phone" not in server.students["s-1"]


# -- primary orgs


@pytest.mark.parametrize("mode", ["bulk", "delta"])
@pytest.mark.parametrize("orgs", [[], ORGS[:1]], ids=["no orgs.csv", "a part of it"])
async def test_a_primary_org_chosen_by_what_orgs_are_outlives_a_set_that_does_not_say(
    district: District, server: MockServer, mode: str, orgs: Any
) -> None:
    await district.sync(school(child("s-1", **BOTH), orgs=ORGS))

    files = school(child("s-1", phone="1", **BOTH), mode=mode, orgs=orgs)
    running = await district.sync(files)
    again = await district.sync(files)

    assert running.report.ok
    assert server.students["s-1"]["phone"] == "1"
    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "school"
    assert again.report.planned == 0


async def test_an_org_whose_row_cannot_be_read_moves_nobody(
    district: District, server: MockServer
) -> None:
    files = school(child("s-1", **BOTH), orgs=ORGS)
    await district.sync(files)

    await district.sync(broken(files, "orgs.csv", 3))

    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "school"


# -- birth dates


@pytest.mark.parametrize("mode", ["bulk", "delta"])
async def test_who_is_deactivated_keeps_birth_date_and_roles(
    district: District, server: MockServer, mode: str
) -> None:
    await district.sync(school(child("s-1"), demographics=BIRTHS[:1]))
    gone = school(child("s-1", status="tobedeleted"), mode=mode)

    await district.sync(gone)
    left = dict(server.students["s-1"])
    await district.sync(school(child("s-1", status="active"), mode="delta"))

    assert (left["status"], left["demographics"]) == ("tobedeleted", BORN)
    assert server.students["s-1"]["status"] == "active"
    assert server.students["s-1"]["demographics"] == BORN


@pytest.mark.parametrize("row", ["s-1,2010-05-06,stray", ",2010-05-06"])
async def test_a_birth_date_in_a_row_that_cannot_be_read_is_kept(
    district: District, server: MockServer, row: str
) -> None:
    people = [child("s-1"), child("s-2")]
    await district.sync(school(*people, demographics=BIRTHS))
    text = f"sourcedId,birthDate\r\n{row}\r\ns-2,2010-05-06\r\n"

    await district.sync(
        school(*people)
        | {
            "manifest.csv": csv_text(manifest(users="bulk", demographics="bulk")),
            "demographics.csv": text,
        }
    )

    assert server.students["s-1"]["demographics"] == BORN


async def test_demographics_without_a_row_take_nobodys_birth_date(
    district: District, server: MockServer
) -> None:
    files = school(child("s-1"), demographics=BIRTHS[:1])
    await district.sync(files)

    await district.sync(files | {"demographics.csv": "sourcedId,birthDate\r\n"})

    assert server.students["s-1"]["demographics"] == BORN


async def test_birth_dates_are_remembered_from_the_beginning_of_a_run(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(State, "note", lambda self, **facts: None)
        await district.sync(school(child("s-1"), demographics=BIRTHS[:1]))

    await district.sync(school(child("s-1", phone="1")))

    assert server.students["s-1"]["demographics"] == BORN


async def test_birth_dates_of_a_send_in_doubt_are_kept(
    district: District, server: MockServer
) -> None:
    server.faults, district.settings = Faults(drop_after=1.0), {"retry": ONCE}
    await district.sync(school(child("s-1"), demographics=BIRTHS[:1]))
    server.faults = Faults()

    await district.sync(school(child("s-1")))

    assert server.students["s-1"]["demographics"] == BORN


async def test_birth_dates_from_json_lines_are_kept(
    district: District, server: MockServer, tmp_path: Path
) -> None:
    await district.sync(school(child("s-1")))
    record = {"student": dict(server.students["s-1"]) | {"demographics": BORN}}
    (tmp_path / "one.jsonl").write_text(json.dumps(record))
    with (
        State(district.state_path, server.config()) as state,
        read_roster(tmp_path / "one.jsonl") as roster,
    ):
        async with TimebackSession(server.config()) as session:
            await run(session, plan(roster, state))

    await district.sync(school(child("s-1", phone="1")))

    assert server.students["s-1"]["phone"] == "1"
    assert server.students["s-1"]["demographics"] == BORN


# -- who is there


@pytest.mark.parametrize(
    "less",
    [school(FAMILY[0], FAMILY[2]), school(child("s-1"), *FAMILY[1:])],
    ids=["a person", "a link"],
)
async def test_who_came_back_in_doubt_and_leaves_again_is_removed_again(
    district: District, server: MockServer, less: dict[str, str]
) -> None:
    await district.sync(school(*FAMILY))
    await district.sync(less, **EVERYTHING)
    server.faults, district.settings = Faults(drop_after=1.0), {"retry": ONCE}
    await district.sync(school(*FAMILY))
    server.faults = Faults()
    back = server.students["s-2"]["status"], len(server.agents)

    running = await district.sync(less, **EVERYTHING)

    assert back == ("active", 2)
    assert running.report.ok
    assert server.students["s-2"]["status"] == "tobedeleted" or len(server.agents) == 1


async def test_a_failure_takes_no_doubt_away(district: District, server: MockServer) -> None:
    await district.sync(school(*FAMILY))
    less = school(FAMILY[0], FAMILY[2])
    await district.sync(less, **EVERYTHING)
    for faults in (Faults(drop_after=1.0), Faults(statuses={503: 1.0})):
        server.faults, district.settings = faults, {"retry": ONCE}
        await district.sync(school(*FAMILY))
    server.faults = Faults()
    back = server.students["s-2"]["status"]

    await district.sync(less, **EVERYTHING)

    assert back == "active"
    assert server.students["s-2"]["status"] == "tobedeleted"


async def test_people_are_listed_before_anybody_is_deactivated(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that lists whoever is active: writing while listing would move its pages."""
    people = [child(f"s-{n:03}") for n in range(250)]
    await district.sync(school(*people))
    listed = server._api._list

    def active(name: str, records: Any, query: Any) -> Any:
        return listed(name, [each for each in records if each["status"] == "active"], query)

    monkeypatch.setattr(server._api, "_list", active)
    tonight = [row | {"status": "tobedeleted"} for row in people[:110]] + people[150:]

    await district.sync(school(*tonight), **EVERYTHING)

    assert {server.students[f"s-{n:03}"]["status"] for n in range(150)} == {"tobedeleted"}


@pytest.mark.parametrize(
    ("before", "refused"),
    [(adult("x-1", "guardian"), child("x-1")), (child("x-1"), adult("x-1", "guardian"))],
    ids=["a guardian", "a student"],
)
async def test_whose_change_of_kind_was_refused_is_deactivated_as_what_they_were(
    district: District, server: MockServer, before: Any, refused: Any
) -> None:
    await district.sync(school(child("s-1"), before))
    server.faults, district.settings = Faults(statuses={422: 1.0}), {"retry": ONCE}
    await district.sync(school(child("s-1"), refused))
    server.faults = Faults()

    await district.sync(school(child("s-1")), **EVERYTHING)

    assert (server.person("x-1") or {})["status"] == "tobedeleted"
    assert len(server.students) + len(server.users) == 2


async def test_whose_change_of_kind_was_never_noted_is_deactivated_as_what_they_are(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await district.sync(school(child("s-1"), child("x-1")))
    with monkeypatch.context() as killed:
        killed.setattr(State, "write", lambda self, entries: None)
        await district.sync(school(child("s-1"), adult("x-1", "guardian")))
    server.students.pop("x-1", None)  # TimeBack has one record of a person

    await district.sync(school(child("s-1")), **EVERYTHING)

    assert server.users["x-1"]["status"] == "tobedeleted"
    assert server.students.keys() == {"s-1"}


async def test_rows_without_an_id_in_one_file_keep_people_of_another(
    district: District, server: MockServer
) -> None:
    files = {"layout.toml": ""}
    layout = district.path / "map.toml"
    layout.write_text('[one]\ntarget = "users"\n[two]\ntarget = "users"\n')
    options = ReadOptions(layout=layout)
    del files["layout.toml"]
    for number, two in enumerate([[child("s-2")], [child("s-2"), child("")]]):
        one = [child("s-1"), child("s-3")] if not number else [child("s-1")]
        texts = {"one.csv": csv_text(one), "two.csv": csv_text(two)}
        path = folder(district.path / f"n{number}", files | texts)
        with (
            State(district.state_path, server.config()) as state,
            read_roster(path, options) as roster,
        ):
            async with TimebackSession(server.config()) as session:
                await run(session, plan(roster, state, **EVERYTHING))

    assert server.students["s-3"]["status"] == "active"


# -- what cannot be looked up


@pytest.mark.parametrize("status", [400, 422, 500])
async def test_somebody_who_cannot_be_looked_up_is_one_failure(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    district.settings = {"retry": RetryPolicy(attempts=2, initial=0.001)}
    await district.sync(crowd(20))
    existing = server._api._existing

    def but_one(own: str) -> Any:
        if own == "s-10":
            raise Refusal(status, "no")
        return existing(own)

    monkeypatch.setattr(server._api, "_existing", but_one)

    running = await district.sync(
        school(*(child(f"s-{n}", phone="1") for n in range(20)), mode="delta")
    )

    assert not running.report.stopped
    assert [each.who for each in running.report.failures] == ["s-10"]
    assert sum(each.get("phone") == "1" for each in server.students.values()) == 19


# -- one state, one endpoint, one run


async def test_a_state_serves_the_endpoint_it_was_opened_for(
    server: MockServer, tmp_path: Path
) -> None:
    path = folder(tmp_path / "roster", school(*FAMILY))
    other = server.config(client_id="another")
    with State(tmp_path / "s.db", other) as state, read_roster(path) as roster:
        changes = plan(roster, state)
        async with TimebackSession(server.config()) as session:
            with pytest.raises(ConfigError, match="belongs to another endpoint or client"):
                run(session, changes)

    assert server.requests == 0


async def test_a_state_serves_one_run_at_a_time(server: MockServer, tmp_path: Path) -> None:
    path = folder(tmp_path / "roster", school(*FAMILY))
    with (
        State(tmp_path / "s.db", server.config()) as state,
        read_roster(path) as one,
        read_roster(path) as other,
    ):
        plans = plan(one, state), plan(other, state)
        async with TimebackSession(server.config()) as session:
            first, second = (run(session, each) for each in plans)
            state.is_in_use = True
            with pytest.raises(SessionError, match="wait until it ends"):
                await first
            state.is_in_use = False
            assert (await second).ok
            assert not state.is_in_use


def test_a_full_temporary_disk_is_told(tmp_path: Path) -> None:
    path = folder(tmp_path / "roster", school(*(child(f"s-{n}") for n in range(3000))))
    with State(None) as state, read_roster(path) as roster:
        pages = roster.database.connection.execute("PRAGMA page_count").fetchone()[0]
        roster.database.connection.execute(f"PRAGMA max_page_count={pages + 5}")
        with pytest.raises(ConfigError, match="SQLITE_TMPDIR"):
            plan(roster, state)


# -- a state that was lost, and files that hold less than they seem


async def test_a_delta_keeps_the_birth_dates_of_whom_the_state_does_not_know(
    district: District, server: MockServer
) -> None:
    await district.sync(school(child("s-1"), demographics=BIRTHS[:1]))
    district.state_path.unlink()  # as is advised where it is damaged

    await district.sync(school(child("s-1", phone="1"), mode="delta"))

    assert server.students["s-1"]["phone"] == "1"
    assert server.students["s-1"]["demographics"] == BORN


async def test_roles_of_whom_the_state_does_not_know_are_kept_where_the_file_has_only_changes(
    district: District, server: MockServer
) -> None:
    await district.sync(full(TEACHER, roles=[TEACHES]))
    district.state_path.unlink()
    files = full(TEACHER, roles=[role("t-1", "aide", "secondary")])
    modes = manifest("1.2", users="bulk", orgs="bulk", roles="delta")

    await district.sync(files | {"manifest.csv": csv_text(modes)})

    assert roles_of(server, "t-1") == ["aide", "teacher"]


async def test_a_role_without_a_user_in_a_full_set_ends_nobodys_other_role(
    district: District, server: MockServer
) -> None:
    await district.sync(full(TEACHER, roles=[TEACHES, IS_PARENT]))

    await district.sync(full(TEACHER | {"phone": "1"}, roles=[TEACHES, role("", "parent")]))

    assert server.users["t-1"]["phone"] == "1"
    assert roles_of(server, "t-1") == ["parent", "teacher"]


async def test_birth_dates_of_some_json_lines_are_remembered(
    district: District, server: MockServer
) -> None:
    await district.sync(school(child("s-1"), child("s-2")))
    records = [dict(server.students[own]) for own in ("s-1", "s-2")]
    records[0]["demographics"] = BORN
    path = district.path / "some.jsonl"
    path.write_text("\n".join(json.dumps({"student": each}) for each in records))
    with State(district.state_path, server.config()) as state, read_roster(path) as roster:
        async with TimebackSession(server.config()) as session:
            await run(session, plan(roster, state))

    await district.sync(school(child("s-1", phone="1"), child("s-2")))

    assert server.students["s-1"]["demographics"] == BORN


async def test_a_role_of_a_delta_takes_the_place_of_the_one_at_the_server(
    district: District, server: MockServer
) -> None:
    first = [role("t-1", name) for name in ("siteAdministrator", "districtAdministrator")]
    await district.sync(full(TEACHER, roles=[*first, TEACHES]))
    changed = [
        role("t-1", "siteAdministrator", endDate="2026-07-31"),
        role("t-1", "DistrictAdministrator", status="toBeDeleted"),
    ]

    await district.sync(delta(TEACHER, roles=changed))

    roles = [(each["role"], each.get("endDate")) for each in server.users["t-1"]["roles"]]
    assert roles == [("siteAdministrator", "2026-07-31"), ("teacher", None)]


async def test_a_primary_role_in_a_delta_makes_somebody_what_it_says(
    district: District, server: MockServer
) -> None:
    await district.sync(full(TEACHER, roles=[role("t-1", "aide")]))

    running = await district.sync(delta(TEACHER, roles=[role("t-1", "student")]))

    assert running.report.ok
    assert server.students.keys() == {"t-1"}


async def test_a_birth_date_that_a_full_set_no_longer_has_is_not_looked_up(
    district: District, server: MockServer
) -> None:
    people = child("s-1"), child("s-2")
    await district.sync(school(*people, demographics=BIRTHS))

    running = await district.sync(school(*people, demographics=BIRTHS[1:]))

    assert running.report.requests == 1
    assert not server.students["s-1"].get("demographics")


async def test_an_absent_student_with_other_roles_is_deactivated_as_a_student(
    district: District, server: MockServer
) -> None:
    await district.sync(school(child("s-1"), child("s-2")))
    server.students["s-2"]["roles"] = [
        {"roleType": kind, "role": name, "org": {"sourcedId": "school"}}
        for kind, name in (("primary", "student"), ("secondary", "aide"))
    ]

    await district.sync(school(child("s-1")), deactivate_absent=True, max_removals=1)

    assert server.students["s-2"]["status"] == "tobedeleted"
    assert "s-2" not in server.users
