"""Whole rosters, from the dry run to the run that has nothing left to send."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.command import figures
from tests.support.packages import SNAPSHOTS, package
from tests.support.samples import DATA, needs_samples
from timeback_async.testing import MockServer

ROSTERS: Sequence[tuple[str, int, tuple[int, int, int]]] = [
    ("catalyst-1p1-full/unpacked", 1, (3, 3, 1)),
    ("catalyst-1p1-minimal/unpacked", 0, (3, 3, 0)),
    ("catalyst-1p2-full/unpacked", 1, (3, 3, 2)),
    ("classlink-1p1-empty-template", 0, (0, 0, 0)),
    ("nicelion-1p1-families", 0, (2, 2, 2)),
    ("summit-1p0-snapshots", 0, (4, 0, 0)),
    ("summit-1p0-snapshots/Step4-AddClass", 0, (4, 0, 0)),
    ("rosterbridge-jp", 0, (3, 4, 0)),
    ("taoimport-1p1-loose", 0, (2, 0, 0)),
    ("microsoft-sds-v1-v2/SDS Format/25 Users", 0, (22, 2, 0)),
    ("microsoft-sds-v1-v2/SDS Format/100 Users", 0, (86, 12, 0)),
    ("microsoft-sds-v1-v2/SDS v2", 1, (22, 6, 0)),
]


@needs_samples
@pytest.mark.parametrize(("path", "code", "stored"), ROSTERS)
def test_a_real_roster_arrives_and_its_dry_run_says_so_before(
    server: MockServer, path: str, code: int, stored: tuple[int, int, int]
) -> None:
    dry, real = figures(DATA / path, "--dry-run"), figures(DATA / path)
    sent = server.requests
    again = figures(DATA / path)

    assert dry["exit"] == real["exit"] == again["exit"] == code
    assert (dry["read"]["students"], dry["read"]["users"], dry["read"]["links"]) == stored
    assert (len(server.students), len(server.users), len(server.agents)) == stored
    assert again["unchanged"] == sum(stored)
    assert server.requests == sent


@needs_samples
def test_a_school_of_families_is_read_whole() -> None:
    report = figures(DATA / "nicelion-1p1-families" / "test-csv.csv", "--dry-run")

    assert report["phases"]["people"]["planned"] == 1187 + 812
    assert report["phases"]["links"]["planned"] == 2390
    assert report["exit"] == 0


@needs_samples
def test_five_snapshots_in_a_row_send_each_record_once(server: MockServer) -> None:
    root = DATA / "summit-1p0-snapshots"

    runs = [
        figures(path) for path in (root, *sorted(each for each in root.iterdir() if each.is_dir()))
    ]

    assert [each["requests"] for each in runs] == [4, 0, 0, 0, 0]


# -- twins of these, on packages of our own making


@pytest.mark.parametrize(
    ("name", "code", "stored"),
    [
        ("one-point-one-full", 1, (2, 3, 1)),
        ("one-point-one-minimal", 0, (2, 2, 0)),
        ("one-point-two-full", 1, (2, 3, 2)),
        ("empty-template", 0, (0, 0, 0)),
        ("families", 0, (2, 2, 2)),
        ("snapshots/", 0, (3, 0, 0)),
        ("snapshots/Step4-AddClass", 0, (3, 0, 0)),
        ("prefixed", 0, (3, 3, 0)),
        ("loose", 0, (3, 0, 0)),
        ("sds-v1", 0, (5, 2, 0)),
        ("sds-v1-large", 0, (24, 6, 0)),
        ("sds-v2", 1, (6, 5, 0)),
        ("sds-v2-1", 0, (2, 3, 3)),
    ],
)
def test_a_package_of_any_shape_arrives_and_its_dry_run_says_so_before(
    server: MockServer, tmp_path: Path, name: str, code: int, stored: tuple[int, int, int]
) -> None:
    path = package(name, tmp_path)

    dry, real = figures(path, "--dry-run"), figures(path)
    sent = server.requests
    again = figures(path)

    assert dry["exit"] == real["exit"] == again["exit"] == code
    assert (dry["read"]["students"], dry["read"]["users"], dry["read"]["links"]) == stored
    assert (len(server.students), len(server.users), len(server.agents)) == stored
    assert again["unchanged"] == sum(stored)
    assert server.requests == sent


def test_a_school_of_sixty_families_is_read_whole(tmp_path: Path) -> None:
    report = figures(package("school-of-families/people.csv", tmp_path), "--dry-run")

    assert report["phases"]["people"]["planned"] == 150 + 120
    assert report["phases"]["links"]["planned"] == 300
    assert report["exit"] == 0


def test_five_snapshots_of_our_own_school_in_a_row_send_each_record_once(
    server: MockServer, tmp_path: Path
) -> None:
    runs = [figures(package(f"snapshots/{step}", tmp_path)) for step in SNAPSHOTS]

    assert [each["requests"] for each in runs] == [3, 0, 0, 0, 0]
