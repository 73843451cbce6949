"""A night that reads what has changed leaves all behind that one which reads everything does."""

import asyncio
import os
import sqlite3
import tracemalloc
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.amounts import amount
from tests.support.config import config
from tests.support.nights import Server, history
from tests.support.rosters import adult, child, csv_text, folder, org, role, school
from timeback_async import TimebackSession
from timeback_async.errors import ConfigError, SessionError
from timeback_async.sync import Finding, Plan, ReadOptions, Roster, State, plan, read_roster, run
from timeback_async.sync._reading import comparison, matching, memory, night, prints, text
from timeback_async.sync._reading.files import DataFile
from timeback_async.sync._reading.tables import Table

HISTORIES = int(os.environ.get("NIGHT_HISTORIES", amount(12, long=120)))
DAY = date(2026, 9, 1)
FAMILY = [child("s-1", "u-1"), child("s-2", "u-1"), adult("u-1")]
OTHERS = [child(f"s-{n}") for n in range(10, 20)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file of some lines have several groups, and more lines than memory holds at once."""
    for module in (comparison, matching, night, prints):
        monkeypatch.setattr(module, "LINES_IN_GROUP", 8)
    monkeypatch.setattr(memory, "NUMBERS_IN_GROUP", 4)
    monkeypatch.setattr(text, "LETTERS_AT_ONCE", 400)
    monkeypatch.setattr(matching, "LINES_AHEAD", 16)
    monkeypatch.setattr(matching, "MOST_WAITING", 48)


class Nights:
    """A school that is synced night after night, as far as it has changed."""

    def __init__(self, path: Path) -> None:
        path.mkdir(exist_ok=True)
        self.path, self.server = path, Server()
        self.state = path / "state.db"
        self.found: list[Finding] = []

    def read(self, state: State, files: Any, day: date = DAY, **options: Any) -> Roster:
        self.found.clear()
        path = folder(self.path / "export", files)
        options = {"today": day, **options}
        return read_roster(path, ReadOptions(**options), on_finding=self.found.append, since=state)

    def sync(self, files: Any, day: date = DAY, *, is_cut: bool = False, **options: Any) -> Any:
        """Sync files; return how many records were not read, the actions, and what is unchanged."""
        with (
            State(self.state, config()) as state,
            self.read(state, files, day, **options) as roster,
        ):
            assert roster.night is not None
            still = roster.night.still.total()
            found = plan(roster, state)
            if not is_cut:
                asyncio.run(self._run(found))
            return still, found.actions, found.unchanged

    def sync_file(self, files: Any, name: str) -> int:
        """Sync one file of a folder; return how many records were not read."""
        path = folder(self.path / "single", files) / name
        with (
            State(self.state, config()) as state,
            read_roster(path, ReadOptions(today=DAY), since=state) as roster,
        ):
            asyncio.run(self._run(plan(roster, state)))
            assert roster.night is not None
            return roster.night.still.total()

    async def _run(self, found: Plan) -> None:
        async with TimebackSession(config(), transport=self.server) as session:
            await run(session, found)

    def change(self, statement: str) -> None:
        """Change the state as nobody should."""
        db = sqlite3.connect(self.state)
        db.executescript(statement)
        db.close()


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


# -- both ways, at random


@pytest.mark.parametrize("first", range(0, HISTORIES, 4))
def test_both_ways_leave_the_same_behind(tmp_path: Path, first: int) -> None:
    for seed in range(first, min(first + 4, HISTORIES)):
        history(seed, tmp_path / "history")


def test_most_nights_leave_something_unread(tmp_path: Path) -> None:
    assert sum(history(seed, tmp_path / "history") for seed in (5, 9, 15)) > 20


@pytest.mark.parametrize(
    ("broken", "seed"), [("roles", 1), ("links", 0), ("turns", 40), ("names", 11)]
)
def test_a_fault_on_purpose_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, seed: int
) -> None:
    if broken == "roles":  # whoever has another role counts as the same
        is_read = comparison.Comparison._is_read

        def skip(self: Any, rows: Any, names: set[int]) -> bool:
            return rows.layout.target == "roles" or is_read(self, rows, names)

        monkeypatch.setattr(comparison.Comparison, "_is_read", skip)
        monkeypatch.setattr(matching.Matching, "take", _taken_all)
    elif broken == "links":
        monkeypatch.setattr(comparison, "LINKS", "none")
    elif broken == "turns":
        monkeypatch.setattr(prints.Prints, "known", _without_turns(prints.Prints.known))
    else:
        monkeypatch.setattr(comparison, "NAMES", "none")

    with pytest.raises(AssertionError, match="history"):
        history(seed, tmp_path / "history")


def _taken_all(self: Any, lines: Any, groups: Any, most: int) -> None:
    self.take_all(groups)


def _without_turns(known: Any) -> Any:
    return lambda self: [(owner, mark, 0) for owner, mark, _ in known(self)]


# -- what is not read


def test_a_night_of_the_same_files_reads_nobody(nights: Nights) -> None:
    files = school(*FAMILY, *OTHERS)
    first = nights.sync(files)

    assert first == (0, {"create": 13, "link": 2}, 0)
    assert nights.sync(files) == (15, {}, 15)
    assert nights.sync(files) == (15, {}, 15)


def test_a_file_may_have_another_name_each_night(nights: Nights) -> None:
    files = {"2026-09-01.csv": csv_text([*FAMILY, *OTHERS])}
    nights.sync_file(files, "2026-09-01.csv")

    assert nights.sync_file({"2026-09-02.csv": files["2026-09-01.csv"]}, "2026-09-02.csv") == 15


def test_one_state_that_stays_open_knows_what_was_sent(nights: Nights) -> None:
    with State(nights.state, config()) as state:
        for unchanged in (0, 5, 5):
            with nights.read(state, school(*FAMILY)) as roster:
                found = plan(roster, state)
                assert found.unchanged == unchanged
                asyncio.run(nights._run(found))


def test_only_who_has_changed_is_read_and_those_near(nights: Nights) -> None:
    nights.sync(school(*FAMILY, *OTHERS))

    changed = school(*FAMILY[:2], adult("u-1", givenName="Else"), *OTHERS)

    # Both children are read for the sake of their links, and one line for the sake of another.
    assert nights.sync(changed) == (9, {"update": 1}, 14)


def test_a_state_and_what_follows_from_lines_that_were_not_read_stays(nights: Nights) -> None:
    nights.sync(school(*FAMILY, *OTHERS))
    nights.sync(school(*FAMILY, *OTHERS, child("s-3")))
    nights.sync(school(*FAMILY, *OTHERS))

    still, actions, unchanged = nights.sync(school(*FAMILY, *OTHERS, child("s-3")))

    assert still > 0
    assert (actions, unchanged) == ({}, 16)


def test_findings_of_what_is_not_read_are_made_again(nights: Nights) -> None:
    files = school(*FAMILY, *(child(f"s-{n}", enabledUser="TRUE") for n in range(10, 30)))
    nights.sync(files)
    at_first = [*nights.found]

    still, _, _ = nights.sync(files)

    assert still == 25
    assert nights.found == at_first
    assert len(at_first) == 20


@pytest.mark.parametrize(("version", "still"), [("", 15), ("1.1", 10)])
def test_rows_that_make_a_file_look_like_a_delta_are_all_counted(
    nights: Nights, version: str, still: int
) -> None:
    more = {"status": "active", "dateLastModified": "2026-01-01T00:00:00Z"}
    people = [*(child(f"s-{n}") for n in range(10)), *(child(f"t-{n}", **more) for n in range(5))]
    files = school(*people, version=version)
    nights.sync(files)

    assert nights.sync(files)[0] == still


def test_more_kinds_of_findings_than_there_are_marks_are_made_again_too(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(night, "MOST_MARKS", 1)
    files = school(*OTHERS, *(child(f"s-{n}", enabledUser="TRUE") for n in range(20, 25)))
    nights.sync(files)

    assert nights.sync(files)[0] == 10
    assert len(nights.found) == 5


@pytest.mark.parametrize("day", [date(2026, 9, 30), date(2026, 10, 1), date(2026, 10, 2)])
def test_a_role_that_begins_makes_its_person_be_read(nights: Nights, day: date) -> None:
    people = [{**child(f"s-{n}"), "role": ""} for n in range(10)]
    roles = [role(f"s-{n}", beginDate="2026-08-01", endDate="") for n in range(10)]
    roles.append(role("s-3", "teacher", beginDate="2026-10-01", endDate=""))
    files = school(*people, version="1.2", roles=roles)
    nights.sync(files)

    still, _, _ = nights.sync(files, day)

    assert still == (10 if day.month == 9 else 9)


def test_memory_does_not_follow_the_number_of_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (comparison, matching, night, prints):
        monkeypatch.setattr(module, "LINES_IN_GROUP", 256)
    monkeypatch.setattr(memory, "NUMBERS_IN_GROUP", 256)
    for module in (night, text):
        monkeypatch.setattr(module, "BLOCK", 4096)
    peaks = []
    for number in (1200, 2400):
        nights = Nights(tmp_path / str(number))
        files = school(*(child(f"s-{n}") for n in range(number)))
        nights.sync(files)
        path, options = folder(tmp_path / f"{number}-again", files), ReadOptions(today=DAY)
        with State(nights.state) as state:
            tracemalloc.start()
            with read_roster(path, options, since=state) as roster:
                assert plan(roster, state).unchanged == number
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    assert peaks[1] - peaks[0] < 50_000, peaks  # a byte for each line, and the groups of a part


# -- when everything is read


@pytest.mark.parametrize(
    "options",
    [
        {"default_org": "o"}, {"grades": "none"}, {"encoding": "cp1252"},
        {"day": date(2026, 8, 31)},
    ],
)  # fmt: skip
def test_other_options_read_everything(nights: Nights, options: Any) -> None:
    files = school(*FAMILY)
    nights.sync(files)

    assert nights.sync(files, **options)[0] == 0


def test_another_org_or_manifest_reads_everything(nights: Nights) -> None:
    nights.sync(school(*FAMILY))

    assert nights.sync(school(*FAMILY, orgs=[org(), org("other")]))[0] == 0
    assert nights.sync(school(*FAMILY, version="1.2", orgs=[org(), org("other")]))[0] == 0


@pytest.mark.parametrize(
    "row", [{"sourcedId": "", "birthDate": "2011-01-01"}, {"sourcedId": "\x01"}]
)
def test_a_row_of_nobody_in_a_file_about_everybody_reads_everything(
    nights: Nights, row: Any
) -> None:
    births = [{"sourcedId": f"s-{n}", "birthDate": "2010-04-01"} for n in (1, 2)]
    nights.sync(school(*FAMILY, demographics=births))

    assert nights.sync(school(*FAMILY, demographics=[*births, row]))[0] == 0


def test_many_changes_read_everything(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MOST_CHANGED", 3)
    nights.sync(school(*FAMILY, *OTHERS))

    others = [child(own["sourcedId"], givenName="Else") for own in OTHERS]

    assert nights.sync(school(*FAMILY, *others)) == (0, {"update": 10}, 5)


def test_many_changes_far_apart_read_everything(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "MOST_CHANGED", 3)
    nights.sync(school(*(child(f"s-{n}") for n in range(90))))

    assert nights.sync(school(*(child(f"s-{n}", grades="06") for n in range(90))))[0] == 0


@pytest.mark.parametrize(("moved", "least", "most"), [(8, 80, 90), (60, 0, 40)])
def test_lines_that_have_moved_far_are_read(
    nights: Nights, moved: int, least: int, most: int
) -> None:
    people = [child(f"s-{n}") for n in range(90)]
    nights.sync(school(*people))

    still, actions, unchanged = nights.sync(school(*people[moved:], *people[:moved]))

    assert least <= still <= most
    assert (actions, unchanged) == ({}, 90)


def test_a_finding_about_all_rows_of_a_file_is_made_of_all(nights: Nights) -> None:
    births = [{"sourcedId": f"s-{n}", "birthDate": "12/25/2010"} for n in (1, 2)]
    files = school(*FAMILY, demographics=births)

    for _ in range(2):
        assert nights.sync(files, date_format="%d/%m/%Y")[0] == 0
        assert "dates-swapped" in {each.code for each in nights.found}


def test_the_end_of_a_file_and_a_row_of_nobody_cost_those_alone(nights: Nights) -> None:
    people = [child(f"s-{n}") for n in range(90)]
    nights.sync(school(*people))

    still, _, unchanged = nights.sync(school(*people[:20], child("")))

    assert (still, unchanged) == (20, 20)
    assert len([each for each in nights.found if each.code == "absence-doubtful"]) == 70


def test_findings_about_rows_that_are_left_out_do_not_pile_up(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(night, "MOST_FOUND", 2)
    people = [child(f"s-{n}", familyName="" if n % 2 else "=&amp;") for n in range(20)]
    ids = [child("\x01") for _ in range(9)]

    for _ in range(2):
        nights.sync(school(*people, *ids, *FAMILY))

    assert len([each for each in nights.found if each.code == "id-damaged"]) == 9


def test_a_roles_row_of_nobody_is_remembered_of_nobody(nights: Nights) -> None:
    people = [{**child(f"s-{n}"), "role": ""} for n in range(9)]
    roles = [*(role(f"s-{n}") for n in range(9)), role("")]
    files = school(*people, version="1.2", roles=roles)
    nights.sync(files)

    assert nights.sync(files)[0] == 0


def test_somebody_with_a_name_of_another_is_found(nights: Nights) -> None:
    nights.sync(
        school(*FAMILY, *(child(f"s-{n}", userMasterIdentifier=f"m-{n}") for n in range(30)))
    )
    more = [child(f"s-{n}", userMasterIdentifier=f"m-{n % 30}") for n in range(31)]

    nights.sync(school(*FAMILY, *more))

    assert [each.detail for each in nights.found if each.code == "same-person"] == [
        "s-0 and 1 more"
    ]


def test_a_state_of_an_earlier_version_is_read_and_remembers_from_then_on(nights: Nights) -> None:
    files = school(*FAMILY)
    nights.sync(files)
    nights.change(
        "DROP TABLE night; DROP TABLE night_head; DROP TRIGGER night_ends_with_outcome;"
        "DROP TRIGGER night_ends_with_change; DROP TRIGGER night_ends_with_removal"
    )

    assert nights.sync(files) == (0, {}, 5)
    assert nights.sync(files) == (5, {}, 5)


def test_many_people_to_be_read_again_are_not_remembered(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(night, "MOST_CHANGED", 3)
    files = school(*FAMILY, *(child(f"s-{n}", status="inactive") for n in range(10, 20)))
    nights.sync(files)

    assert nights.sync(files)[0] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET outcome = 'unknown' WHERE kind = 'user'",
        "DELETE FROM records WHERE kind = 'user'",
        "INSERT INTO outcomes VALUES (x'')",
        "UPDATE night SET content = x'00' WHERE part = 'links'",
        "UPDATE night SET content = zeroblob(100) WHERE part = 'lines users'",
        "DELETE FROM night WHERE part = 'links'",
        "UPDATE night_head SET content = zeroblob(50)",
    ],
)
def test_whatever_changes_the_state_makes_everything_be_read(
    nights: Nights, statement: str
) -> None:
    files = school(*FAMILY)
    nights.sync(files)

    nights.change(statement)

    assert nights.sync(files)[0] == 0
    assert nights.sync(files)[0] == 5


def test_a_run_that_is_cut_before_anything_is_sent_is_as_if_it_had_not_been(
    nights: Nights,
) -> None:
    nights.sync(school(*FAMILY, *OTHERS))
    changed = school(*FAMILY, *OTHERS[:-1], child("s-19", givenName="Else"))

    planned = nights.sync(changed, is_cut=True)

    assert planned[1:] == ({"update": 1}, 14)
    assert nights.sync(changed) == planned


def test_who_was_not_saved_is_read_and_sent_again(nights: Nights) -> None:
    nights.server.refused = frozenset({"s-11"})
    nights.sync(school(*FAMILY, *OTHERS))
    nights.server.refused = frozenset()

    still, actions, unchanged = nights.sync(school(*FAMILY, *OTHERS))

    assert still > 0
    assert (sum(actions.values()), unchanged) == (1, 14)


def test_a_state_that_forgets_somebody_reads_everything(nights: Nights) -> None:
    files = school(*FAMILY)
    nights.sync(files)
    with State(nights.state) as state:
        state.forget(["s-1"])

    assert nights.sync(files) == (0, {"create": 1, "link": 1}, 3)


# -- what cannot be planned


def test_what_was_not_read_cannot_be_sent_again(nights: Nights) -> None:
    files = school(*FAMILY)
    nights.sync(files)

    with (
        State(nights.state) as state,
        nights.read(state, files) as roster,
        pytest.raises(SessionError, match="since=None"),
    ):
        plan(roster, state, resend=True)


def test_a_roster_is_planned_with_the_state_that_it_was_read_by(
    nights: Nights, tmp_path: Path
) -> None:
    files = school(*FAMILY)
    nights.sync(files)

    with State(nights.state) as state, nights.read(state, files) as roster:
        with State(tmp_path / "other.db") as other, pytest.raises(SessionError, match="this state"):
            plan(roster, other)
        state.forget(["s-1"])
        with pytest.raises(SessionError, match="as it is now"):
            plan(roster, state)


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = school(*FAMILY)
    digests = iter(range(1_000))
    with monkeypatch.context() as patch:
        patch.setattr(night, "_digest", lambda file: next(digests).to_bytes(16, "big"))
        nights.sync(files)

    nights.sync(files)

    assert nights.sync(files)[0] == 5


def test_a_file_that_has_grown_since_it_was_compared_is_refused(nights: Nights) -> None:
    users = folder(nights.path / "users", {"users.csv": csv_text(FAMILY)}) / "users.csv"
    table = Table(DataFile("users.csv", ".csv", partial(users.open, "rb")), None)
    table.wanted = bytearray(b"\0\0\1")

    with pytest.raises(ConfigError, match="was changed while it was read"):
        list(table.rows())


@pytest.mark.parametrize("ids", ["hashed", "plain"])
def test_who_left_is_found_whatever_the_form_of_ids(nights: Nights, ids: Any) -> None:
    State(nights.state, ids=ids).close()
    nights.sync(school(*FAMILY, *OTHERS))

    for _ in range(2):
        assert nights.sync(school(*FAMILY, *OTHERS[:-1]))[0] > 0
        found = [each.detail for each in nights.found if each.code == "absent"]
        assert len(found) == 1
        assert ("s-19" in found[0]) == (ids == "plain")
