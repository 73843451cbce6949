"""`--outcomes` of both commands: a row for every record, whatever became of it."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import REFUSING, family, interrupt, run, when
from tests.support.rosters import adult, child, school, zipped
from timeback_async.testing import Faults, MockServer

pytest.importorskip("pyarrow")
from pyarrow import parquet

OUT = Path("outcomes.parquet")
both = pytest.mark.parametrize("command", ["upsert", "sync"])


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parquet.read_table(OUT).to_pylist()
    return found


def outcomes() -> Counter[str]:
    return Counter(row["outcome"] for row in rows())


@both
def test_every_record_has_a_row_with_its_place(server: MockServer, command: str) -> None:
    done = run(command, family(), "--outcomes", OUT)

    assert done.exit_code == 0, done.output
    assert outcomes() == {"saved": 5}
    places = {(row["kind"], row["sourced_id"]): (row["file"], row["line"]) for row in rows()}
    assert places["student", "s-1"] == ("users.csv", 2)
    assert sum(kind == "agent" for kind, _ in places) == 2
    assert b"anary" not in OUT.read_bytes()
    assert OUT.stat().st_mode & 0o777 == 0o600


@both
def test_a_row_that_is_left_out_and_a_record_that_is_rejected_have_theirs(
    server: MockServer, command: str
) -> None:
    server.faults = REFUSING
    path = family(child("s-1"), child("s-2", familyName=""))

    assert run(command, path, "--outcomes", OUT).exit_code == 1

    left, failed = sorted(rows(), key=lambda row: row["outcome"] != "invalid")
    assert (left["file"], left["line"], left["error"]) == ("users.csv", 3, "RecordError")
    assert (failed["outcome"], failed["status"], failed["error"]) == (
        "failed",
        422,
        "BadRequestError",
    )


@both
def test_a_dry_run_has_a_row_for_all_that_it_would_send(command: str) -> None:
    assert run(command, family(), "--dry-run", "--outcomes", OUT).exit_code == 0

    assert outcomes() == {"not_sent": 5}
    assert {row["error"] for row in rows()} == {None}


@both
def test_an_interrupted_run_has_rows_for_what_it_did_not_reach(
    server: MockServer, command: str
) -> None:
    server.faults = Faults(latency=0.02)
    people = [child(f"s-{n}", "u-1" if n < 5 else "") for n in range(200)]
    path = zipped(Path("export.zip"), school(adult("u-1"), *people))
    thread = when(lambda: server.requests > 40, interrupt)

    assert run(command, path, "--outcomes", OUT, "--max-in-flight", 4).exit_code == 75
    thread.join()

    found = outcomes()
    assert found.total() == 206
    assert found["saved"] == len(server.students) + len(server.users) + len(server.agents)
    ids = Counter(row["sourced_id"] for row in rows())
    assert set(ids.values()) == {1}


def test_removals_have_rows_in_whatever_order_they_end(server: MockServer) -> None:
    everybody = [child(f"s-{n}", "u-1") for n in range(4)]
    remove = ("--deactivate-absent", "--unlink-absent", "--max-removals", "99")
    run("sync", family(adult("u-1"), *everybody))
    del server.students["s-3"]
    path = family(adult("u-1"), everybody[0], child("s-1"))

    assert run("sync", path, *remove, "--dry-run", "--outcomes", OUT).exit_code == 0
    planned = outcomes()
    server.agents.clear()  # another client was first
    assert run("sync", path, *remove, "--outcomes", OUT).exit_code == 0

    assert planned == {"not_sent": 3}
    assert outcomes() == {"deleted": 2, "saved": 1}
    assert {row["error"] for row in rows()} == {None}


def test_a_run_interrupted_among_removals_has_one_row_for_each(server: MockServer) -> None:
    everybody = [child(f"s-{n}") for n in range(60)]
    run("sync", zipped(Path("export.zip"), school(*everybody)))
    server.faults = Faults(latency=0.02)
    sent = server.requests
    thread = when(lambda: server.requests > sent + 10, interrupt)
    path = zipped(Path("export.zip"), school(everybody[0]))

    done = run(
        "sync", path, "--deactivate-absent", "--max-removals", "99", "--outcomes", OUT,
        "--max-in-flight", 2,
    )  # fmt: skip
    thread.join()

    found = outcomes()
    assert done.exit_code == 75
    assert found["saved"] > 0 < found["not_sent"]
    assert found.total() == 59
    ids = Counter(row["sourced_id"] for row in rows())
    del ids[None]  # a state knows the hash of an id, until TimeBack lists whose it is
    assert set(ids.values()) == {1}


@both
def test_a_file_that_cannot_be_finished_is_said_to_be_no_file(
    server: MockServer, command: str
) -> None:
    done = run(command, family(), "--outcomes", "/dev/full")

    assert done.exit_code == 1
    assert "No space left" in done.output
    assert "cannot be read" in " ".join(done.output.split())


def test_the_file_is_no_other_files(server: MockServer) -> None:
    done = run("sync", family(), "--outcomes", OUT, "--findings", OUT)

    assert done.exit_code == 2
