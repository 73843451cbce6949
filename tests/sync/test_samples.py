"""Rosters that schools and vendors have published; `test_packages` has a twin of each test."""

from datetime import date
from pathlib import Path

import pytest

from tests.support.rosters import codes, mapping, opened, records, wrong
from tests.support.samples import DATA, needs_samples
from timeback_async import AgentLink, Student

pytestmark = needs_samples

SDS = "microsoft-sds-v1-v2"
NICELION = "nicelion-1p1-families"
# Path, format, count, and how often each code is found.
SAMPLES = [
    (
        "catalyst-1p1-full/unpacked",
        "OneRoster 1.1",
        (3, 3, 1, 0),
        {
            "mode-doubtful": 1,
            "value-form": 6,
            "agent-neither": 1,
            "agent-role": 3,
            "same-person": 2,
        },
    ),
    (
        "catalyst-1p1-minimal/unpacked",
        "OneRoster 1.1",
        (3, 3, 0, 0),
        {"value-form": 6},
    ),
    (
        "catalyst-1p2-full/unpacked",
        "OneRoster 1.2",
        (3, 3, 2, 0),
        {
            "mode-doubtful": 1,
            "header-name": 4,
            "value-form": 6,
            "agent-neither": 1,
            "agent-role": 2,
            "same-person": 2,
            "file-unusable": 1,
            "role-not-current": 6,
        },
    ),
    (
        "classlink-1p1-empty-template",
        "OneRoster 1.1",
        (0, 0, 0, 0),
        {"manifest-differs": 1, "mode-unclear": 1, "file-empty": 3},
    ),
    (
        NICELION,
        "OneRoster without a manifest",
        (2, 2, 2, 0),
        {"manifest-missing": 1, "file-unread": 1},
    ),
    (
        f"{NICELION}/test-csv.csv",
        "OneRoster without a manifest",
        (1187, 812, 2390, 0),
        {},
    ),
    *(
        (
            f"summit-1p0-snapshots{step}",
            "OneRoster without a manifest",
            (4, 0, 0, 0),
            {"manifest-missing": 1, "header-order": 1, "org-unknown": 3, "value-form": 4},
        )
        for step in (
            "",
            "/Step1-UpdateCourse",
            "/Step2-AddCourse",
            "/Step3-DeleteCourse",
            "/Step4-AddClass",
        )
    ),
    (
        "rosterbridge-jp",
        "OneRoster without a manifest",
        (3, 4, 0, 0),
        {
            "manifest-missing": 1,
            "name-prefix": 1,
            "header-name": 1,
            "header-order": 1,
            "value-form": 7,
            "role-administrator": 1,
        },
    ),
    (
        "taoimport-1p1-loose",
        "OneRoster 1.1",
        (2, 0, 0, 0),
        {
            "header-name": 4,
            "header-order": 1,
            "column-unknown": 8,
            "value-form": 2,
            "file-empty": 1,
        },
    ),
    (
        f"{SDS}/SDS v2",
        "School Data Sync v2",
        (22, 6, 0, 1),
        {"value-form": 22, "role-unknown": 1, "grade-unmapped": 10},
    ),
    (
        f"{SDS}/SDS Format/25 Users",
        "School Data Sync v1",
        (22, 2, 0, 0),
        {"value-form": 46},
    ),
    (
        f"{SDS}/SDS Format/100 Users",
        "School Data Sync v1",
        (86, 12, 0, 0),
        {"value-form": 184},
    ),
    (
        f"{SDS}/SDS Format/Min Required Attributes",
        "School Data Sync v1",
        (0, 0, 0, 24),
        {"column-missing": 4, "value-missing": 48},
    ),
]


@pytest.mark.parametrize(("path", "form", "count", "found"), SAMPLES, ids=[s[0] for s in SAMPLES])
def test_a_roster_from_the_wild_has_the_right_counts_and_findings(
    path: str, form: str, count: tuple[int, ...], found: dict[str, int]
) -> None:
    roster = opened(DATA / path, today=date(2026, 1, 1))

    assert (roster.format, roster.count[:4]) == (form, count)
    assert codes(roster) == found


@pytest.mark.parametrize("name", ["catalyst-1p1-full", "catalyst-1p1-minimal", "catalyst-1p2-full"])
def test_a_zip_is_the_same_as_what_is_in_it(name: str) -> None:
    (path,) = (DATA / name).glob("*.zip")

    assert records(opened(path)) == records(opened(DATA / name / "unpacked")) != {}


def links_of(path: str) -> dict[str, str]:
    return {
        name: each.relationship_type
        for name, each in records(opened(DATA / path)).items()
        if isinstance(each, AgentLink)
    }


def test_the_links_are_the_right_ones() -> None:
    mary, mmichel, john = "usr-222-66778899", "usr-222-1234561232", "usr-222-123456"
    parent = "f167771e-16bf-4a4e-a481-a55551192448"

    assert links_of("catalyst-1p1-full/unpacked") == {f"{mary}+usr-222-1234561": "parent"}
    assert links_of("catalyst-1p2-full/unpacked") == {
        f"{mary}+{john}": "guardian",
        f"{mmichel}+{john}": "guardian",
    }
    assert links_of(NICELION) == {
        f"81eabe90-875c-4058-90f2-e46c2abc66d9+{parent}": "parent",
        f"004daf38-1f14-4a56-b758-42e9166ea382+{parent}": "parent",
    }
    assert set(links_of(f"{NICELION}/test-csv.csv").values()) == {"parent"}


def test_an_org_map_of_another_school_leaves_everybody_out_for_that_one_cause(
    tmp_path: Path,
) -> None:
    pairs = mapping(tmp_path / "orgs.toml", 'other = "T-1"')

    roster = opened(DATA / NICELION / "test-csv.csv", org_map=pairs)

    assert roster.count[:4] == (0, 0, 0, 1999)
    assert codes(roster) == {"org-unmapped": 1999, "agent-left-out": 2390}


def test_an_org_map_or_a_default_org_brings_everybody_in(tmp_path: Path) -> None:
    pairs = mapping(tmp_path / "orgs.toml", 'slksldkmlsk49303 = "T-1"')
    path = DATA / NICELION / "test-csv.csv"

    for options in ({"org_map": pairs}, {"org_map": pairs, "default_org": "T-2"}):
        roster = opened(path, **options)
        orgs = {
            each.primary_org.sourced_id for each in roster.records() if isinstance(each, Student)
        }
        assert orgs == {"T-1"}
        assert roster.count[:4] == (1187, 812, 2390, 0)


def test_unknown_roles_are_named_by_their_lines() -> None:
    roster = opened(DATA / SDS / "SDS v2")

    said = [text for text in wrong(roster) if text.startswith("role-unknown")]
    assert said == ["role-unknown users.csv:26: role: the role is not one that TimeBack knows"]


def test_birth_dates_of_school_data_sync_are_read_month_first() -> None:
    found = opened(DATA / SDS / "SDS Format" / "100 Users").records()

    births = [
        each.demographics.birth_date
        for each in found
        if isinstance(each, Student) and each.demographics
    ]
    assert len(births) == 86
    assert str(births[0]) == "2000-04-02"


def test_five_snapshots_of_one_school_hold_the_same_records() -> None:
    snapshots = [opened(DATA / path) for path, *_ in SAMPLES if path.startswith("summit")]

    first, *others = map(records, snapshots)
    assert len(others) == 4
    assert all(other == first for other in others)


def test_names_in_another_script_arrive() -> None:
    found = records(opened(DATA / "rosterbridge-jp"))["3"]

    assert isinstance(found, Student)
    assert (found.given_name, found.family_name) == ("太郎", "田中")
