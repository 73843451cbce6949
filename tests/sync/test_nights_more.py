"""A night that reads what has changed, where one line decides what another one says."""

import asyncio
import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support.config import config
from tests.support.nights import Night, Server, Side
from tests.support.rosters import adult, child, csv_text, folder, org, role, school
from timeback_async import TimebackSession
from timeback_async.errors import ConfigError
from timeback_async.sync import Finding, Plan, ReadOptions, State, plan, read_roster, run
from timeback_async.sync._reading import comparison, matching, night, prints

DAY = date(2026, 9, 1)


class Both:
    """A school that is synced night after night in both ways, which have to agree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("fast", "slow"):
            (path / name).mkdir()
        self.fast, self.slow = Side(path / "fast", is_fast=True), Side(path / "slow", is_fast=False)
        State(self.fast.state).close()
        shutil.copyfile(self.fast.state, self.slow.state)  # the same key

    def sync(
        self, files: Any, day: date = DAY, refused: Any = (), reading: Any = None, **planning: Any
    ) -> Any:
        """Sync a night; return how many records were not read, and all that can be seen of it."""
        before = self.fast.still
        planning = {"max_removals": "100%", "allow_new_ids": True} | planning
        night = Night(files, day, reading or {}, planning, frozenset(refused), "whole")
        export = self.path / "export"
        shutil.rmtree(export, ignore_errors=True)
        folder(export, files)
        fast, slow = self.fast.sync(export, night), self.slow.sync(export, night)

        assert fast == slow
        return self.fast.still - before, fast


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


def with_users(text: str, **more: Any) -> dict[str, str]:
    return school(child("x"), **more) | {"users.csv": text}


def cut(row: dict[str, str]) -> str:
    """Return a row without the blank cells at its end."""
    return csv_text([row]).splitlines()[1].rstrip(",") + "\r\n"


NARROW = {"givenName": "Ann", "familyName": "Lee", "password": "", "grades": ""}
PEOPLE = [child(f"s-{n}") for n in range(10, 30)]
HEADER, *LINES = csv_text(PEOPLE).splitlines(keepends=True)
SHORT = [cut(child(f"t-{n}", **NARROW)) for n in range(10)]
BROKEN = 'p-7,"unclosed\r\n'


def test_a_file_that_is_replaced_while_it_is_read_is_refused(tmp_path: Path) -> None:
    people = [child("s-1", enabledUser="TRUE"), *PEOPLE]
    state_path, export = tmp_path / "state.db", folder(tmp_path / "export", school(*people))
    server = Server()

    async def carry_out(found: Plan) -> None:
        async with TimebackSession(config(), transport=server) as session:
            await run(session, found)

    with State(state_path, config()) as state:
        with read_roster(export, since=state) as roster:
            asyncio.run(carry_out(plan(roster, state)))
        people[15] = people[15] | {"grades": "06"}
        folder(export, school(*people))
        others = [*(child(f"t-{n}") for n in range(3)), *people[:-3]]

        def replace(finding: Finding) -> None:  # once all is compared
            (export / "new").write_text(csv_text(others))
            (export / "new").replace(export / "users.csv")

        with pytest.raises(ConfigError, match="was changed while it was read; run again"):
            read_roster(export, on_finding=replace, since=state)


def test_a_file_of_which_no_line_is_new_is_refused_if_it_is_replaced(tmp_path: Path) -> None:
    people = [child("s-1", enabledUser="TRUE"), *PEOPLE]
    nights, export = Side(tmp_path, is_fast=True), tmp_path / "export"
    folder(export, school(*people))
    nights.sync(export, Night({}, DAY, {}, {}, frozenset(), "whole"))
    folder(export, school(*reversed(people)))

    def replace(finding: Finding) -> None:  # once all is compared
        (export / "new").write_text(csv_text(PEOPLE))
        (export / "new").replace(export / "users.csv")

    with (
        State(nights.state, config()) as state,
        pytest.raises(ConfigError, match="was changed while it was read; run again"),
    ):
        read_roster(export, ReadOptions(today=DAY), on_finding=replace, since=state)


@pytest.mark.parametrize("field", ["username", "userIds"])
def test_one_of_two_rows_that_goes_leaves_the_name_of_somebody_else(both: Both, field: str) -> None:
    names = {"username": ["a", "b"], "userIds": ["{x:a}", "{x:b}"]}[field]
    one, two = (child("s-1", **{field: name}) for name in names)
    other = child("s-2", **{field: names[1]})
    both.sync(school(one, two, other, *PEOPLE))

    both.sync(school(two, other, *PEOPLE))


def test_short_rows_behind_a_new_broken_one_are_left_out(both: Both) -> None:
    both.sync(with_users("".join([HEADER, *LINES, *SHORT[:4]])))

    both.sync(with_users("".join([HEADER, *LINES, BROKEN, *SHORT[:4]])))


def test_a_short_row_whose_rest_is_far_away_is_whole(both: Both) -> None:
    text = "".join([HEADER, SHORT[0], *LINES, "rest,of\r\n"])
    both.sync(with_users(text), refused=["t-0"])

    both.sync(with_users(text))


def test_a_short_row_before_a_new_broken_one_is_left_out(both: Both) -> None:
    last = LINES[0].replace("s-10", "s-9")
    both.sync(with_users("".join([HEADER, *LINES, SHORT[0], last])))

    both.sync(with_users("".join([HEADER, *LINES, SHORT[0], "rest\r\n", last])))


def test_unnamed_columns_that_are_gone_make_rows_too_wide(both: Both) -> None:
    wide = "".join(line.rstrip("\r\n") + ",\r\n" for line in LINES)
    both.sync(with_users(HEADER.rstrip("\r\n") + ",\r\n" + wide))

    both.sync(with_users(HEADER + wide))


def test_a_link_that_could_not_be_judged_is_judged_later(both: Both) -> None:
    both.sync(school(child("s-1", "u-1"), adult("u-1"), *PEOPLE))
    both.sync(school(child("s-1"), adult("u-1", givenName=""), *PEOPLE))

    both.sync(school(child("s-1"), adult("u-1"), *PEOPLE))


def test_roles_in_another_order_are_read(both: Both) -> None:
    people = [{**child(f"s-{n}"), "role": "", "orgSourcedIds": ""} for n in range(10)]
    roles = [role(f"s-{n}") for n in range(10)]
    two = [role("s-3", orgSourcedId="other")]
    orgs = [org(), org("other")]
    both.sync(school(*people, version="1.2", roles=[*roles, *two], orgs=orgs))

    both.sync(school(*people, version="1.2", roles=[*two, *roles], orgs=orgs))


def test_roles_may_all_be_other_ones(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (comparison, matching, night, prints):
        monkeypatch.setattr(module, "LINES_IN_GROUP", 8)
    monkeypatch.setattr(matching, "LINES_AHEAD", 8)
    monkeypatch.setattr(matching, "MOST_WAITING", 16)
    people = [{**child(f"s-{n}"), "role": "", "orgSourcedIds": ""} for n in range(60)]
    before, now = ([role(f"s-{n}", beginDate=day) for n in range(59)] for day in ("", "2026-08-01"))
    last = role("s-59")
    both.sync(school(*people, version="1.2", roles=[*before, last]))

    assert both.sync(school(*people, version="1.2", roles=[*now, last]))[0] < 2


def test_a_name_that_counts_only_now_is_found(both: Both) -> None:
    people = [{**child(f"s-{n}"), "role": ""} for n in range(10)]
    roles = [role(f"s-{n}") for n in range(10)]
    names = [{"sourcedId": "f", "userSourcedId": "s-3", "username": "canary-s-7"}]
    both.sync(school(*people, version="1.2", roles=roles, userProfiles=names))
    people[3]["username"] = ""

    both.sync(school(*people, version="1.2", roles=roles, userProfiles=names))


def test_who_is_forgotten_during_a_run_is_sent_again(tmp_path: Path) -> None:
    export, server = folder(tmp_path / "export", school(*PEOPLE)), Server()
    planned: list[Any] = []
    with State(tmp_path / "state.db", config()) as state:

        async def carry_out(found: Plan) -> None:
            async with TimebackSession(config(), transport=server) as session:
                await run(session, found, on_result=lambda *_: forget())

        def forget() -> None:
            if planned[-1]["create"] == 1:
                state.forget(["s-12"])

        for files in (PEOPLE, [*PEOPLE, child("s-1")], [*PEOPLE, child("s-1")]):
            folder(export, school(*files))
            with read_roster(export, since=state) as roster:
                found = plan(roster, state)
                planned.append(found.actions)
                if len(planned) < 3:
                    asyncio.run(carry_out(found))

    assert planned == [{"create": 20}, {"create": 1}, {"create": 1}]


def test_nothing_is_left_of_whom_a_state_forgets(both: Both) -> None:
    both.sync(school(*PEOPLE, child("s-1", givenName="")))  # whose record was never sent
    with State(both.fast.state) as state:
        people = [state.owner_of(own).to_bytes(8, sys.byteorder) for own in ("s-1", "s-12")]
    kept = both.fast.state.read_bytes()

    with State(both.fast.state) as state:
        state.forget(["s-1"])
        state.forget(["s-12"])

    assert [own in kept for own in people] == [True, True]
    left = b"".join(each.read_bytes() for each in both.fast.state.parent.iterdir())
    assert [own in left for own in people] == [False, False]


BIRTHS = "sourcedId,birthDate\r\n"
BIRTH = "s-12,2012-04-01\r\n"
ROLES = csv_text([role(own["sourcedId"]) for own in PEOPLE])


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [
        ("roles.csv", f"{ROLES}rest,of\r\n", ROLES),
        ("demographics.csv", f"{BIRTHS}{BIRTH}a,b,c\r\n", BIRTHS + BIRTH),
        ("demographics.csv", f"{BIRTHS}{BIRTH},2012-04-01\r\n", BIRTHS + BIRTH),
        ("demographics.csv", BIRTHS, BIRTHS + BIRTH),
        ("demographics.csv", BIRTHS + BIRTH, BIRTHS),
    ],
)
def test_whether_a_file_speaks_of_everybody_concerns_everybody(
    both: Both, name: str, before: str, now: str
) -> None:
    people = [{**own, "role": "", "orgSourcedIds": ""} for own in PEOPLE]
    files = school(*people, version="1.2", roles=[role("x")], demographics=[{"sourcedId": "x"}])
    files |= {"roles.csv": ROLES, "demographics.csv": BIRTHS + BIRTH}
    both.sync(files | {name: before})

    both.sync(files | {name: now})
