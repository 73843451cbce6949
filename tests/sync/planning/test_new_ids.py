"""A full set whose ids have changed is refused: its people would all be there twice."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.rosters import adult, child, codes, csv_text, lines, opened, read, school, users
from timeback_async.errors import ConfigError
from timeback_async.sync import Plan, PlanRefusedError, State, plan
from timeback_async.sync._planning.new_ids import is_replaced
from timeback_async.sync._running.job import OUTCOME_IN_STATE

Rows = Sequence[Mapping[str, str]]


@pytest.fixture(params=["hashed", "plain"])
def state(request: pytest.FixtureRequest) -> Any:
    with State(None, ids=request.param) as opened:
        yield opened


def night(state: State, path: Path, *people: Mapping[str, str], **how: Any) -> Plan:
    """Plan a full set, and note everything as done."""
    return noted(state, path, school(*people), **how)


def noted(state: State, path: Path, files: Mapping[str, str], **how: Any) -> Plan:
    with read(path, files) as roster:
        found = plan(roster, state, **how)
        done = [each.known._replace(outcome=OUTCOME_IN_STATE[each.phase]) for each in found]
    state.write(lines(done))
    state.settle()
    return found


def refused(state: State, path: Path, *people: Mapping[str, str], **how: Any) -> str:
    """Return why a full set is refused."""
    with pytest.raises(PlanRefusedError) as error, read(path, school(*people)) as roster:
        plan(roster, state, **how)
    return str(error.value)


def wired(sourced_id: str) -> dict[str, Any]:
    """Return a student in wire form."""
    return {
        "sourcedId": sourced_id, "username": None, "givenName": "A", "familyName": "B",
        "grades": [], "primaryOrg": {"sourcedId": "o"},
    }  # fmt: skip


def pupils(ids: Sequence[object]) -> list[dict[str, str]]:
    return [child(str(each)) for each in ids]


ZEROS = [f"{n:05}" for n in range(100, 140)]
GUIDS = [f"3f2504e0-4f89-11d3-9a0c-0305e82c3{n}" for n in range(100, 140)]


# -- an id in another form


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (ZEROS, range(100, 140), "lost their leading zeros: 100 was 00100"),
        (range(100, 140), ZEROS, "gained leading zeros: 00100 was 100"),
        ([f"ab{n}" for n in ZEROS], [f"AB{n}" for n in ZEROS], "changed their capitals: AB00100"),
        ([f"{{{n}}}" for n in GUIDS], GUIDS, rf"lost their braces: {GUIDS[0]} was {{{GUIDS[0]}}}"),
        (["01", "02", "03", "x"], ["1", "2", "3", "x"], "3 of the 4 known students are absent"),
        (["01", "02", "03", *range(9, 500)], ["1", "2", "3", *range(9, 500)], "leading zeros"),
    ],
)
def test_ids_that_changed_their_form_are_named(
    tmp_path: Path, state: State, before: Sequence[object], now: Sequence[object], words: str
) -> None:
    night(state, tmp_path, *pupils(before))

    said = refused(state, tmp_path, *pupils(now))

    assert words in said
    assert "Nothing was sent" in said
    assert "allow_new_ids=True" in said


def test_whom_these_files_never_held_is_not_absent_from_them(tmp_path: Path, state: State) -> None:
    rows = pupils(["001", "002", "003"])
    text = [msgspec.json.encode({"student": wired(row["sourcedId"])}).decode() for row in rows]
    with opened(users(tmp_path, "\n".join(text), "a.jsonl")) as roster:
        state.write(lines(each.known for each in plan(roster, state)))
        state.settle()
    night(state, tmp_path, child("x"), child("y"))

    assert night(state, tmp_path, child("x"), *pupils(["1", "2", "3"])).total("people") == 3


@pytest.mark.parametrize("is_allowed", [False, True])
def test_one_or_two_are_only_mentioned(tmp_path: Path, state: State, is_allowed: bool) -> None:
    night(state, tmp_path, *pupils(["001", "002", *range(10, 20)]))

    with read(tmp_path, school(*pupils(["1", "2", *range(10, 20)]))) as roster:
        found = plan(roster, state, allow_new_ids=is_allowed)
        (cause,) = (each for each in roster.findings.causes if each.code == "id-other-form")

    assert found.counts == {("people", "create"): 2}
    assert [each.detail for each in cause.examples] == ["1 was 001", "2 was 002"]
    assert [each.line for each in cause.examples] == [2, 3]
    assert cause.severity == "warning"


def test_who_is_still_there_under_the_other_id_is_somebody_else(
    tmp_path: Path, state: State
) -> None:
    before = pupils(["001", "002", "003"])
    night(state, tmp_path, *before, child("gone"))

    assert night(state, tmp_path, *before, *pupils(["1", "2", "3"])).total("people") == 3


def test_who_was_deactivated_before_is_not_looked_at(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, *pupils(["001", "002", "003", "x"]))
    night(state, tmp_path, child("x"), deactivate_absent=True, max_removals="100%")

    assert night(state, tmp_path, *pupils(["1", "2", "3"])).total("people") == 3


# -- other ids altogether


def test_most_known_are_absent_and_as_many_are_new(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, *pupils(range(40)))

    said = refused(state, tmp_path, *pupils([f"new-{n}" for n in range(40)]))

    assert "users.csv: 40 of the 40 known students are absent and 40 are new" in said
    assert "have the ids changed form" in said


@pytest.mark.parametrize(
    ("stay", "leave", "come"),
    [
        (75, 25, 25),  # a school year
        (50, 50, 50),  # of a school with two grades
        (45, 55, 55),
        (45, 55, 100),  # and grows
        (0, 4, 4),  # a handful
        (1, 9, 9),
        (5, 0, 500),  # nobody is gone
        (0, 12, 500),  # after a trial
        (100, 300, 25),  # a school year where the absent have been left alone for years
        (0, 2000, 12),  # an export between the years
        (0, 40, 0),  # nobody is new
    ],
)
def test_an_ordinary_change_is_none_of_ids(
    tmp_path: Path, state: State, stay: int, leave: int, come: int
) -> None:
    known = [f"k-{n}" for n in range(stay + leave)]
    night(state, tmp_path, *pupils(known))

    found = night(state, tmp_path, *pupils([*known[:stay], *(f"n-{n}" for n in range(come))]))

    assert found.total("people") == come


def test_the_first_run_is_never_refused(tmp_path: Path, state: State) -> None:
    assert night(state, tmp_path, *pupils(range(40))).total("people") == 40


def test_it_can_be_allowed_once_and_is_then_known(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, *pupils(ZEROS))

    allowed = night(state, tmp_path, *pupils(range(100, 140)), allow_new_ids=True)
    again = night(state, tmp_path, *pupils(range(100, 140)))

    assert allowed.total("people") == 40
    assert (again.total(), again.unchanged) == (0, 40)


def test_each_kind_is_judged_by_itself(tmp_path: Path, state: State) -> None:
    children = [child(f"s-{n}") for n in range(100)]
    night(state, tmp_path, *children, *(adult(f"u-{n}") for n in range(12)))

    said = refused(state, tmp_path, *children, *(adult(f"v-{n}") for n in range(12)))

    assert "12 of the 12 known users are absent and 12 are new" in said


def test_links_are_judged_too(tmp_path: Path, state: State) -> None:
    adults = [adult(f"u-{n}") for n in range(24)]
    night(state, tmp_path, *(child(f"s-{n}", f"u-{n}") for n in range(12)), *adults)

    said = refused(state, tmp_path, *(child(f"s-{n}", f"u-{n + 12}") for n in range(12)), *adults)

    assert "12 of the 12 known links are absent and 12 are new" in said


def test_each_file_is_judged_by_itself(tmp_path: Path, state: State) -> None:
    layout = tmp_path / "map.toml"
    layout.write_text('[one]\ntarget = "users"\n[two]\ntarget = "users"\n')

    def files(two: str) -> dict[str, str]:
        people = {"one": pupils(range(100)), "two": pupils([f"{two}-{n}" for n in range(12)])}
        return {f"{name}.csv": csv_text(rows) for name, rows in people.items()}

    with read(tmp_path, files("a"), layout=layout) as roster:
        state.write(lines(each.known for each in plan(roster, state)))
        state.settle()

    with (
        read(tmp_path, files("b"), layout=layout) as roster,
        pytest.raises(PlanRefusedError, match=r"two\.csv: 12 of the 12 known students"),
    ):
        plan(roster, state)


def test_changes_alone_are_not_judged(tmp_path: Path, state: State) -> None:
    night(state, tmp_path, *pupils(ZEROS))

    files = school(*pupils(range(100, 140)), mode="delta")

    assert noted(state, tmp_path, files).total("people") == 40


@pytest.mark.parametrize("mode", ["bulk", "delta"])
def test_json_lines_are_judged_where_they_are_a_full_set(
    tmp_path: Path, state: State, mode: Any
) -> None:
    def wire(ids: Sequence[object]) -> str:
        rows = [wired(str(each)) for each in ids]
        return "".join(msgspec.json.encode({"student": row}).decode() + "\n" for row in rows)

    with opened(users(tmp_path, wire(ZEROS), "a.jsonl"), mode=mode) as roster:
        state.write(lines(each.known for each in plan(roster, state)))
        state.settle()

    with opened(users(tmp_path, wire(range(100, 140)), "b.jsonl"), mode=mode) as roster:
        if mode == "bulk":
            with pytest.raises(PlanRefusedError, match="lost their leading zeros"):
                plan(roster, state)
        else:
            assert plan(roster, state).total("people") == 40


def test_ids_are_the_reason_even_where_too_many_would_be_removed(
    tmp_path: Path, state: State
) -> None:
    night(state, tmp_path, *pupils(ZEROS))

    said = refused(state, tmp_path, *pupils(range(100, 140)), deactivate_absent=True)

    assert "lost their leading zeros" in said


def test_a_refused_plan_can_be_looked_at_and_pickles_as_an_error(
    tmp_path: Path, state: State
) -> None:
    night(state, tmp_path, *pupils(ZEROS))

    with read(tmp_path, school(*pupils(range(100, 140)))) as roster:
        with pytest.raises(PlanRefusedError) as error:
            plan(roster, state, deactivate_absent=True)
        found = error.value.plan
        assert found.refusal == str(error.value)
        assert found.actions == {"create": 40, "deactivate": 40}
        assert len(list(found)) == 80
        assert codes(roster) == {}
    again = pickle.loads(pickle.dumps(error.value))  # noqa: S301 - our own bytes
    assert type(again) is ConfigError
    assert str(again) == str(error.value)


# -- where the line is

few = st.integers(0, 9)
some = st.integers(0, 5000)


@given(some, some, st.integers(0, 9))
def test_a_handful_is_never_too_much(held: int, new: int, absent: int) -> None:
    """Unless all of them are replaced."""
    assert not is_replaced(max(held, absent + 1), absent, new)
    assert not is_replaced(new + held + 1, new, absent)


@given(st.integers(10, 5000), st.integers(0, 5000))
def test_a_school_year_passes_and_a_new_form_of_all_ids_does_not(size: int, gone: int) -> None:
    for percent in (10, 25, 50):
        leave = size * percent // 100
        assert not is_replaced(size, leave, leave)
    assert is_replaced(size, size, size)
    # Those who left in earlier years and were not removed are absent, too.
    before = gone % (size * 9 + 1)
    assert is_replaced(size + before, size + before, size)
    assert not is_replaced(size + before, size // 4 + before, size // 4)


@given(some, some, some)
def test_nobody_new_or_nobody_absent_is_no_change_of_ids(stay: int, leave: int, come: int) -> None:
    assert not is_replaced(stay + leave, leave, 0)
    assert not is_replaced(stay, 0, come)
    if is_replaced(stay + leave, leave, come):  # then those who stay are the smaller part of both
        assert stay < leave
        assert stay < come
