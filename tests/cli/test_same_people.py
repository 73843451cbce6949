"""The same file is the same people, whichever command sends it."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.amounts import amount, in_turn
from tests.support.command import run
from tests.support.packages import ROSTERS, package
from tests.support.records import wire_student, wire_user
from tests.support.rosters import adult, child, csv_text
from tests.support.samples import DATA, name_of_sample, needs_samples
from timeback_async.testing import MockServer

Stores = tuple[Any, Any, Any]


def stores(server: MockServer) -> Stores:
    """Return what a server holds, and take it away."""
    kept = server.students, server.users, server.agents
    copied = copy.deepcopy(kept)
    for each in kept:
        each.clear()
    return copied


def sent_by_each(server: MockServer, path: Path, *options: str) -> list[tuple[int, Stores]]:
    """Send a roster to an empty server by each command; return exit codes and stores."""
    found = []
    for command in ("upsert", "sync"):
        Path("timeback-state.db").unlink(missing_ok=True)
        done = run(command, path, *options)
        assert done.exit_code in (0, 1), done.output
        found.append((done.exit_code, stores(server)))
    return found


OPTIONS = ((), ("--default-org", "org-1", "--relationship", "mentor"))


def roster_folders() -> list[Path]:
    """Return everything in the samples that can be read as one roster."""
    found = {file.parent for file in DATA.rglob("*.csv")}
    return sorted(found) + sorted(DATA.rglob("*.zip")) + sorted(DATA.rglob("*users.csv"))


@needs_samples
@pytest.mark.parametrize("path", roster_folders(), ids=name_of_sample)
def test_a_published_roster(server: MockServer, path: Path) -> None:
    by_upsert, by_sync = sent_by_each(server, path, "--default-org", "org-1")

    assert by_upsert == by_sync


@pytest.mark.parametrize(("name", "options"), in_turn(ROSTERS, OPTIONS))
def test_a_package_of_our_own(
    server: MockServer, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    by_upsert, by_sync = sent_by_each(server, package(name, tmp_path), *options)

    assert by_upsert == by_sync


IDS = st.sampled_from([f"s-{n}" for n in range(6)] + ["", "../x", "ü 1"])
CELLS: dict[str, Any] = {
    "role": st.sampled_from(
        ["student", "STUDENT", "parent", "Guardian", "teacher", "administrator", "wizard", ""]
    ),
    "enabledUser": st.sampled_from(["true", "TRUE", "y", "0", "maybe", ""]),
    "grades": st.sampled_from(["", "05", "9,10", "KG", "[]", '["1"]', "13"]),
    "orgSourcedIds": st.sampled_from(["school", "", "school,other", "other"]),
    "username": st.sampled_from(["canary", "", "Canary, C", 'Canary "C"']),
    "givenName": st.sampled_from(["Canary", " Canary ", "", "Cänary"]),
    "status": st.sampled_from(["", "active", "ACTIVE", "inactive", "tobedeleted", "gone"]),
    "agents": st.lists(IDS, max_size=2).map(",".join),
    "birthDate": st.sampled_from(["", "2012-02-29", "3/4/2012", "31.12.2011", "soon"]),
}
ROWS = st.lists(
    st.builds(
        lambda make, own, cells: make(own, **cells),
        st.sampled_from([child, adult]),
        IDS,
        st.fixed_dictionaries({}, optional=CELLS),
    ),
    min_size=1,
    max_size=8,
)
LINES = st.lists(
    st.one_of(
        IDS.map(lambda own: json.dumps({"student": wire_student(own)})),
        IDS.map(lambda own: json.dumps({"user": wire_user(own, birthDate="x")})),
        st.tuples(IDS, IDS).map(
            lambda pair: json.dumps(
                {"agent": {"studentId": pair[0], "userId": pair[1], "relationshipType": "parent"}}
            )
        ),
        IDS.map(
            lambda own: json.dumps(
                {"user": wire_user(own), "_failure": {"file": "a.csv", "line": 3}}
            )
        ),
        st.sampled_from(["x", "[1,2]", "{}", '{"_failure": {"text": "x"}}']),
    ),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=amount(10, long=20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=ROWS,
    delimiter=st.sampled_from([",", ";", "\t"]),
    start=st.sampled_from(["", "\N{BYTE ORDER MARK}"]),
    mode=st.sampled_from(["bulk", "delta"]),
)
def test_a_table_made_at_random(
    server: MockServer, rows: Any, delimiter: str, start: str, mode: str
) -> None:
    file = Path("users.csv")
    file.write_bytes((start + csv_text(rows, delimiter)).encode())

    by_upsert, by_sync = sent_by_each(server, file, "--mode", mode)

    assert by_upsert == by_sync


@settings(
    max_examples=amount(5, long=10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=LINES)
def test_lines_made_at_random(server: MockServer, lines: list[str]) -> None:
    file = Path("records.jsonl")
    file.write_text("\n".join(lines), "utf-8")

    by_upsert, by_sync = sent_by_each(server, file)

    assert by_upsert == by_sync
