"""What `sync --dry-run` tells, and leaves alone."""

import json
import re
import stat
from pathlib import Path

import pytest

from tests.support.command import family, figures, lines, run, sync, words
from tests.support.rosters import FAMILY, adult, child
from timeback_async.models.ids import agent_id_of
from timeback_async.testing import Faults, MockServer


def test_a_dry_run_needs_no_credentials_makes_no_state_and_sends_nothing(
    server: MockServer, here: Path
) -> None:
    done = sync(family(), "--dry-run", TIMEBACK_CLIENT_ID="", TIMEBACK_CLIENT_SECRET="")

    assert done.exit_code == 0
    assert "create student s-1" in done.stdout
    assert "link agent s-1" in done.stdout
    assert "nothing was sent" in done.stdout
    assert [path.name for path in here.iterdir()] == ["family"]
    assert server.requests == server.token_requests == 0


def test_a_dry_run_compares_with_the_state_and_leaves_it_as_it_is(server: MockServer) -> None:
    sync(family())
    before = Path("timeback-state.db").read_bytes()

    more = (child(f"s-{number}") for number in range(3, 9))
    report = figures(family(*FAMILY, *more), "--dry-run", TIMEBACK_CLIENT_ID="")

    assert report["samples"] == {"people": [f"create student s-{n}" for n in (3, 4, 5)]}
    assert (report["unchanged"], report["dry_run"], report["exit"]) == (5, True, 0)
    assert Path("timeback-state.db").read_bytes() == before


def test_a_dry_run_counts_what_is_new_apart_from_what_is_changed(server: MockServer) -> None:
    sync(family())
    path = family(child("s-1", "u-1", grades="07"), *FAMILY[1:], child("s-3", "u-1"))

    dry, report = sync(path, "--dry-run"), figures(path, "--dry-run")

    assert re.search(r"people +│ 1 new, 1 changed +│", dry.stdout)
    assert re.search(r"links +│ 1 new +│", dry.stdout)
    assert re.search(r"unlinks +│ nothing +│", dry.stdout)
    assert report["actions"] == {"update": 1, "create": 1, "link": 1}


def test_the_whole_plan_is_written_a_change_a_line(server: MockServer) -> None:
    path = family(*(child(f"s-{n}", "u-1") for n in range(700)), adult("u-1"))

    sync(path, "--dry-run", "--plan", "plan.jsonl")

    plan = lines(Path("plan.jsonl"))
    assert len(plan) == 1401
    assert plan[0] == {
        "phase": "people", "action": "create", "kind": "student", "id": "s-0",
        "file": "users.csv", "line": 2,
    }  # fmt: skip
    assert plan[-1] == {
        "phase": "links", "action": "link", "kind": "agent", "id": "s-99", "user_id": "u-1",
        "agent_id": agent_id_of("s-99", "u-1"), "file": "users.csv", "line": 101,
    }  # fmt: skip
    assert "anary" not in Path("plan.jsonl").read_text("utf-8")
    assert stat.S_IMODE(Path("plan.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize("ids", ["hashed", "plain"])
def test_who_is_absent_is_in_the_plan_by_id_or_by_its_hash(server: MockServer, ids: str) -> None:
    sync(family(), "--state-ids", ids)
    path = family(child("s-1"), adult("u-1"))
    how = ("--deactivate-absent", "--unlink-absent", "--max-removals", "9", "--dry-run")

    sync(path, *how, "--plan", "plan.jsonl")

    unlink, deactivate = lines(Path("plan.jsonl"))[-2:]
    found = json.loads(run("state", "find", "s-2", "--json").stdout)["records"][0]["id"]
    assert unlink["id"] == "s-1"
    assert unlink["agent_id"] == agent_id_of("s-1", "u-1")
    assert (deactivate["action"], deactivate["file"], deactivate["line"]) == ("deactivate", "", 0)
    assert deactivate["id_hash" if ids == "hashed" else "id"] == found
    assert ("id" in deactivate) == (ids == "plain")


def test_the_plan_is_there_before_the_first_request(server: MockServer) -> None:
    server.faults = Faults(statuses={403: 1.0})

    sync(family(), "--plan", "plan.jsonl")

    assert [each["action"] for each in lines(Path("plan.jsonl"))] == ["create"] * 3 + ["link"] * 2


@pytest.mark.parametrize("option", ["--max-removals", "--allow-new-ids"])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_plan_that_is_refused_can_be_looked_at(
    server: MockServer, option: str, dry: tuple[str, ...]
) -> None:
    ids = [f"0{n}" for n in range(12)]
    sync(family(*map(child, ids)))
    sent = server.requests
    left = ids[:2] if option == "--max-removals" else [each[1:] for each in ids]
    path = family(*map(child, left))
    outputs = ("--plan", "plan.jsonl", "--report", "report.html")

    done = sync(path, "--deactivate-absent", *dry, *outputs)

    html = Path("report.html").read_text("utf-8")
    removed = [each for each in lines(Path("plan.jsonl")) if each["action"] == "deactivate"]
    assert done.exit_code == 2
    assert option in done.stderr
    assert len(removed) == len(set(ids) - set(left))
    assert f"{len(removed)} to deactivate" in done.stdout
    assert f"{len(removed)} to deactivate" in html
    assert "Refused" in html
    assert option in html
    assert server.requests == sent


def test_ids_of_another_form_can_be_allowed(server: MockServer) -> None:
    sync(family(*(child(f"0{n}") for n in range(12))))

    report = figures(family(*(child(str(n)) for n in range(12))), "--allow-new-ids")

    assert (report["exit"], report["saved"]) == (0, 12)


def test_a_plan_that_cannot_be_written_is_said_and_the_run_goes_on(server: MockServer) -> None:
    gone = sync(family(), "--plan", "no/such.jsonl")
    full = sync("family", "--plan", "/dev/full")

    assert (gone.exit_code, full.exit_code) == (2, 1)
    assert "such.jsonl: No such file or directory" in gone.stderr
    assert words(full.stderr).count("/dev/full: No space left on device") == 1
    assert len(server.students) == 2


def test_a_dry_run_of_files_with_errors_is_exit_code_1(server: MockServer) -> None:
    assert sync(family(child("s-1", role="")), "--dry-run").exit_code == 1
