"""Rosters of our own making in the shapes of `test_samples`: what runs in any clone."""

from datetime import date
from pathlib import Path

import pytest

from tests.support.packages import PACKAGES, SNAPSHOTS, package
from tests.support.rosters import codes, mapping, opened, records, wrong, zipped
from timeback_async import AgentLink, Student

WITHOUT_MANIFEST = "OneRoster without a manifest"
EVERY_FAMILY = (150, 120, 300, 0)
# Package, format, count, and how often each code is found.
FOUND = [
    (
        "one-point-one-full",
        "OneRoster 1.1",
        (2, 3, 1, 0),
        {
            "mode-doubtful": 1,
            "value-form": 5,
            "agent-neither": 1,
            "agent-role": 2,
            "same-person": 2,
        },
    ),
    ("one-point-one-minimal", "OneRoster 1.1", (2, 2, 0, 0), {"value-form": 4}),
    (
        "one-point-two-full",
        "OneRoster 1.2",
        (2, 3, 2, 0),
        {
            "mode-doubtful": 1,
            "header-name": 4,
            "value-form": 5,
            "agent-neither": 1,
            "agent-role": 1,
            "same-person": 2,
            "file-unusable": 1,
        },
    ),
    (
        "empty-template",
        "OneRoster 1.1",
        (0, 0, 0, 0),
        {"manifest-differs": 1, "mode-unclear": 1, "file-empty": 3},
    ),
    ("families", WITHOUT_MANIFEST, (2, 2, 2, 0), {"manifest-missing": 1}),
    ("school-of-families/people.csv", WITHOUT_MANIFEST, EVERY_FAMILY, {}),
    *(
        (
            f"snapshots/{step}",
            WITHOUT_MANIFEST,
            (3, 0, 0, 0),
            {"manifest-missing": 1, "header-order": 1, "org-unknown": 2, "value-form": 3},
        )
        for step in SNAPSHOTS
    ),
    (
        "prefixed",
        WITHOUT_MANIFEST,
        (3, 3, 0, 0),
        {
            "manifest-missing": 1,
            "name-prefix": 1,
            "header-name": 1,
            "header-order": 1,
            "value-form": 6,
            "role-administrator": 1,
        },
    ),
    (
        "loose",
        "OneRoster 1.1",
        (3, 0, 0, 0),
        {
            "header-name": 4,
            "header-order": 1,
            "column-unknown": 8,
            "value-form": 3,
            "file-empty": 1,
        },
    ),
    (
        "sds-v2",
        "School Data Sync v2",
        (6, 5, 0, 1),
        {"value-form": 6, "role-unknown": 1, "grade-unmapped": 2},
    ),
    ("sds-v2-1", "School Data Sync v2", (2, 3, 3, 0), {}),
    ("sds-v1", "School Data Sync v1", (5, 2, 0, 0), {"value-form": 12}),
    ("sds-v1-large", "School Data Sync v1", (24, 6, 0, 0), {"value-form": 54}),
    (
        "sds-v1-minimal",
        "School Data Sync v1",
        (0, 0, 0, 7),
        {"column-missing": 4, "value-missing": 14},
    ),
]


@pytest.mark.parametrize(("name", "form", "count", "found"), FOUND, ids=[f[0] for f in FOUND])
def test_a_roster_of_a_known_shape_has_the_right_counts_and_findings(
    tmp_path: Path, name: str, form: str, count: tuple[int, ...], found: dict[str, int]
) -> None:
    roster = opened(package(name, tmp_path), today=date(2026, 1, 1))

    assert (roster.format, roster.count[:4]) == (form, count)
    assert codes(roster) == found


@pytest.mark.parametrize(
    "name", ["one-point-one-full", "one-point-one-minimal", "one-point-two-full"]
)
def test_a_package_zipped_is_the_same_as_unpacked(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "package.zip", PACKAGES[name]())

    assert records(opened(path)) == records(opened(package(name, tmp_path))) != {}


def links_of(name: str, path: Path) -> dict[str, str]:
    return {
        own: each.relationship_type
        for own, each in records(opened(package(name, path))).items()
        if isinstance(each, AgentLink)
    }


def test_the_links_of_each_shape_are_the_right_ones(tmp_path: Path) -> None:
    of_families = links_of("families", tmp_path)
    of_a_school = links_of("school-of-families/people.csv", tmp_path)

    assert links_of("one-point-one-full", tmp_path) == {"s-1+p-1": "parent"}
    assert links_of("one-point-two-full", tmp_path) == {
        "s-1+t-1": "guardian",
        "s-2+t-1": "guardian",
    }
    assert links_of("sds-v2-1", tmp_path) == {
        "1300+1500": "guardian",
        "1301+1500": "guardian",
        "1301+1501": "relative",
    }
    assert len(of_families) == 2
    assert len({name.partition("+")[2] for name in of_families}) == 1
    assert {own: each for own, each in of_a_school.items() if "f5-s0" in own} == {
        "f5-s0+f5-p0": "parent",
        "f5-s0+f5-p1": "parent",
        "f5-s0+f5-p2": "parent",
    }
    assert set(of_families.values()) == set(of_a_school.values()) == {"parent"}


def test_an_org_map_of_another_school_leaves_out_every_family_for_that_one_cause(
    tmp_path: Path,
) -> None:
    pairs = mapping(tmp_path / "orgs.toml", 'other = "T-1"')

    roster = opened(package("school-of-families/people.csv", tmp_path), org_map=pairs)

    assert roster.count[:4] == (0, 0, 0, 270)
    assert codes(roster) == {"org-unmapped": 270, "agent-left-out": 300}


def test_an_org_map_or_a_default_org_brings_every_family_in(tmp_path: Path) -> None:
    pairs = mapping(tmp_path / "orgs.toml", 'qwertz12345 = "T-1"')
    path = package("school-of-families/people.csv", tmp_path)

    for options in ({"org_map": pairs}, {"org_map": pairs, "default_org": "T-2"}):
        roster = opened(path, **options)
        orgs = {
            each.primary_org.sourced_id for each in roster.records() if isinstance(each, Student)
        }
        assert orgs == {"T-1"}
        assert roster.count[:4] == EVERY_FAMILY


def test_unknown_roles_of_school_data_sync_are_named_by_their_lines(tmp_path: Path) -> None:
    roster = opened(package("sds-v2", tmp_path))

    said = [text for text in wrong(roster) if text.startswith("role-unknown")]
    assert said == ["role-unknown users.csv:9: role: the role is not one that TimeBack knows"]


def test_every_birth_date_of_school_data_sync_is_read_month_first(tmp_path: Path) -> None:
    found = opened(package("sds-v1-large", tmp_path)).records()

    births = [
        str(each.demographics.birth_date)
        for each in found
        if isinstance(each, Student) and each.demographics
    ]
    assert len(births) == 24
    assert births[:2] == ["2000-01-05", "2001-02-06"]


def test_five_snapshots_of_our_own_school_hold_the_same_records(tmp_path: Path) -> None:
    snapshots = [opened(package(f"snapshots/{step}", tmp_path)) for step in SNAPSHOTS]

    first, *others = map(records, snapshots)
    assert len(others) == 4
    assert all(other == first for other in others)


def test_names_in_other_scripts_arrive(tmp_path: Path) -> None:
    found = opened(package("prefixed", tmp_path)).records()

    names = [each.family_name for each in found if isinstance(each, Student)]
    assert names == ["Canary", "Καναρίνη", "카나리"]
