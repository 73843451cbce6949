"""Whole rosters sent by `upsert`: what arrives, and what is named as not sent."""

import json
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.packages import package
from tests.support.samples import DATA, needs_samples
from timeback_async.testing import Faults, MockServer


@needs_samples
def test_a_school_of_families_arrives_whole_through_faults(server: MockServer) -> None:
    server.faults = Faults.preset("some", seed=7)

    done = run("upsert", DATA / "nicelion-1p1-families" / "test-csv.csv", "--json")

    report = json.loads(done.stdout)
    assert done.exit_code == 0
    assert report["saved"] == report["planned"] == 1187 + 812 + 2390
    assert report["retries"] > 0
    assert server.token_requests == 1
    assert server.requests == report["requests"]
    stored = (len(server.students), len(server.users), len(server.agents))
    assert stored == (1187, 812, 2390)


@needs_samples
@pytest.mark.parametrize(
    ("path", "options", "stored", "places"),
    [
        (
            "catalyst-1p1-full/unpacked/users.csv",
            [],
            (3, 3, 1),
            ["users.csv:3", "users.csv:5", "users.csv:6", "users.csv:7"],
        ),
        (
            "rosterbridge-jp/sample_users.csv",
            ["--primary-org", "org-1"],
            (3, 4, 0),
            [],
        ),
    ],
)
def test_of_an_odd_roster_what_can_be_sent_is_sent_and_the_rest_is_named(
    server: MockServer,
    tmp_path: Path,
    path: str,
    options: list[str],
    stored: tuple[int, int, int],
    places: list[str],
) -> None:
    findings = tmp_path / "findings.jsonl"
    done = run("upsert", DATA / path, "--findings", findings, *options)

    assert done.exit_code == bool(places)
    assert (len(server.students), len(server.users), len(server.agents)) == stored
    assert errors_of(findings) == places


def errors_of(findings: Path) -> list[str]:
    """Return the places of the errors in a file of findings."""
    found = map(json.loads, findings.read_text().splitlines())
    return [f"{each['file']}:{each['line']}" for each in found if each["severity"] == "error"]


# -- twins of these, on packages of our own making


def test_sixty_families_arrive_whole_through_faults(server: MockServer, tmp_path: Path) -> None:
    server.faults = Faults.preset("some", seed=7)

    done = run("upsert", package("school-of-families/people.csv", tmp_path), "--json")

    report = json.loads(done.stdout)
    assert done.exit_code == 0
    assert report["saved"] == report["planned"] == 150 + 120 + 300
    assert report["retries"] > 0
    assert server.token_requests == 1
    assert server.requests == report["requests"]
    assert (len(server.students), len(server.users), len(server.agents)) == (150, 120, 300)


@pytest.mark.parametrize(
    ("name", "options", "stored", "places"),
    [
        (
            "one-point-one-full/users.csv",
            [],
            (2, 3, 1),
            ["users.csv:3", "users.csv:5", "users.csv:6"],
        ),
        (
            "prefixed/sample_users.csv",
            ["--primary-org", "org-1"],
            (3, 3, 0),
            [],
        ),
    ],
)
def test_of_an_odd_package_what_can_be_sent_is_sent_and_the_rest_is_named(
    server: MockServer,
    tmp_path: Path,
    name: str,
    options: list[str],
    stored: tuple[int, int, int],
    places: list[str],
) -> None:
    findings = tmp_path / "findings.jsonl"
    done = run("upsert", package(name, tmp_path), "--findings", findings, *options)

    assert done.exit_code == bool(places)
    assert (len(server.students), len(server.users), len(server.agents)) == stored
    assert errors_of(findings) == places
    assert "canary" not in done.output.lower()
