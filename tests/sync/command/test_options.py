"""What the options of `sync` change."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import family, run, sync
from tests.support.rosters import child, mapping, users
from timeback_async.cli import _reading
from timeback_async.cli._options_words import as_flags
from timeback_async.errors import ConfigError
from timeback_async.sync import CODES, ReadOptions
from timeback_async.testing import Faults, MockServer


def test_every_option_of_reading_gets_to_the_reader(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def read(*arguments: Any, **_: object) -> None:
        given.extend(arguments)
        raise ConfigError("enough")

    monkeypatch.setattr(_reading, "read_roster", read)

    sync(
        "family", "--strict", "--encoding", "cp1252", "--map", "a.toml", "--org-map", "b.toml",
        "--default-org", "org-1", "--grades", "c.toml", "--relationship", "guardian",
        "--date-format", "%d/%m/%Y", "--mode", "delta", "--accept", "agent-role, absent",
        "--accept", "role-missing",
    )  # fmt: skip

    assert given == [
        Path("family"),
        ReadOptions(
            strict=True,
            encoding="cp1252",
            layout=Path("a.toml"),
            org_map=Path("b.toml"),
            default_org="org-1",
            grades="c.toml",
            relationship="guardian",
            date_format="%d/%m/%Y",
            mode="delta",
            accept=("agent-role", "absent", "role-missing"),
        ),
    ]


def test_every_option_that_a_finding_advises_exists() -> None:
    advice = " ".join(as_flags(code.advice) for code in CODES.values())
    advised = set(re.findall(r"--[a-z-]+", advice))

    helped = run("sync", "--help", COLUMNS="200").output

    assert len(advised) == 10
    assert {name for name in advised if name not in helped} == set()


@pytest.mark.parametrize(("grades", "sent"), [("none", "05"), ("ceds-to-timeback", "5")])
def test_grades_are_translated_unless_that_is_not_wanted(
    server: MockServer, grades: str, sent: str
) -> None:
    sync(family(), "--grades", grades)

    assert server.students["s-1"]["grades"] == [sent]


def test_columns_of_other_names_are_read_through_a_map(server: MockServer) -> None:
    users(Path(), "Nr;Vorname;Nachname;Login\n7;CanaryA;CanaryB;canary-7\n", "schueler.csv")
    layout = mapping(
        Path("map.toml"),
        """
        [schueler]
        target = "users"
        constants = {role = "student", enabledUser = "true"}
        [schueler.columns]
        Nr = "sourcedId"
        Vorname = "givenName"
        Nachname = "familyName"
        Login = "username"
        """,
    )

    done = sync("schueler.csv", "--map", layout, "--default-org", "org-9")

    assert done.exit_code == 0
    assert server.students["7"]["primaryOrg"]["sourcedId"] == "org-9"


def test_no_more_requests_are_in_flight_or_in_a_second_than_is_said(server: MockServer) -> None:
    server.faults = Faults(latency=0.01)

    sync(family(*(child(f"s-{n}") for n in range(20))), "--max-in-flight", 2, "--max-rate", 1000)

    assert server.peak_in_flight == 2


def test_ids_are_kept_as_the_first_run_was_told(server: MockServer) -> None:
    sync(family(), "--state", "plain.db", "--state-ids", "plain")
    sync("family", "--state", "hashed.db")
    changed = sync("family", "--state", "hashed.db", "--state-ids", "plain")

    assert b"s-1" in Path("plain.db").read_bytes()
    assert b"s-1" not in Path("hashed.db").read_bytes()
    assert changed.exit_code == 2
    assert "keeps hashed ids" in changed.stderr
