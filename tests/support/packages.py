"""Rosters as schools and vendors export them, with their oddities, and people of our own invention.

Each package has the shape of a published sample: its columns and their order, its spellings, what
is missing and what makes no sense. Nothing in it is copied. Names and e-mails hold "Canary".
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from tests.support import sds
from tests.support.rosters import folder

__all__ = ["PACKAGES", "ROSTERS", "SNAPSHOTS", "package"]

Files = dict[str, str]
Row = Mapping[str, str]

IDS = "sourcedId,status,dateLastModified"
ORGS = f"{IDS},name,type,identifier,parentSourcedId"
USERS = (
    f"{IDS},enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,"
    "identifier,email,sms,phone,agentSourcedIds,grades,password"
)
CLASSES = (
    f"{IDS},title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,"
    "termSourcedIds,subjects,subjectCodes,periods"
)
ENROLLMENTS = f"{IDS},classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate"
SESSIONS = f"{IDS},title,type,startDate,endDate,parentSourcedId,schoolYear"
COURSES = f"{IDS},schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes"
RACES = (
    "americanIndianOrAlaskaNative,asian,blackOrAfricanAmerican,"
    "nativeHawaiianOrOtherPacificIslander,white,demographicRaceTwoOrMoreRaces,"
    "hispanicOrLatinoEthnicity,countryOfBirthCode,stateOfBirthAbbreviation,cityOfBirth,"
    "publicSchoolResidenceStatus"
)
NOW = {"status": "active", "dateLastModified": "2024-02-29T08:15:00.000Z"}


def table(header: str, rows: Iterable[Row] = (), end: str = "\n") -> str:
    """Return a CSV with just these columns, in this order."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, header.split(","), restval="", lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def person(own: str, role: str, **cells: str) -> dict[str, str]:
    names = {"username": f"canary.{own}", "givenName": f"Canary{own}", "familyName": "Canary"}
    return {"sourcedId": own, "role": role, **names} | cells


def manifest(version: str, *bulk: str, absent: str) -> str:
    """Return a manifest that names files by their mode, and no system it comes from."""
    lines = ["propertyName,value", "manifest.version,1.0", f"oneroster.version,{version}"]
    lines += [f"file.{name},bulk" for name in bulk]
    lines += [f"file.{name},absent" for name in absent.split()]
    return "\r\n".join([*lines, "source.systemCode,absent", "source.systemName,absent"])


# -- OneRoster 1.1 and 1.2 with a manifest

NOT_ROSTERED = "categories classResources courses courseResources demographics lineItems resources"
SCHOOLWORK = {
    "academicSessions.csv": table(
        SESSIONS,
        [
            {"sourcedId": "term-1", "title": "Autumn", "type": "semester", "schoolYear": "2024"},
            {"sourcedId": "term-2", "title": "Autumn", "type": "schoolYear", "schoolYear": "2024"},
        ],
        end="\r\n",
    ),
    "classes.csv": table(
        CLASSES,
        [
            {
                "sourcedId": "class-1",
                "title": "Birds",
                "classType": "Scheduled",
                "schoolSourcedId": "dep-1",
                "termSourcedIds": "term-1,term-2",
            }
        ],
        end="\r\n",
    ),
    "enrollments.csv": table(
        ENROLLMENTS,
        [
            {"sourcedId": f"enr-{own}", "classSourcedId": "class-1", "userSourcedId": own}
            for own in ("t-1", "s-1", "s-2")
        ],
        end="\r\n",
    ),
}


def full(**of_all: str) -> list[dict[str, str]]:
    """Return people whose agents are a teacher, a child, and one teacher of another teacher."""
    ids = "{LDAP:7},{LTI:9},{Fed:4}"
    people = [
        person("t-1", "teacher", **NOW, grades="12", password="CanaryPassword"),
        person("s-1", "student", userIds="{LDAP:7}", agentSourcedIds="t-1", grades="12"),
        person("p-1", "parent", **NOW, userIds=ids, agentSourcedIds="s-1", grades="10"),
        person("t-2", "teacher", **NOW, userIds="{LTI:9}", agentSourcedIds="t-1", grades="11"),
        person("s-2", "student", **NOW, userIds="{LDAP:7}", agentSourcedIds="t-1", grades="11"),
    ]
    return [each | {"enabledUser": "TRUE"} | of_all for each in people]


def department(**cells: str) -> str:
    """Return an orgs.csv whose one org is part of one that is not there."""
    row = {"sourcedId": "dep-1", "name": "Birds", "type": "department", **cells}
    return table(ORGS, [row], end="\r\n")


def one_point_one_full() -> Files:
    """Return what says bulk and is dated as a delta, with agents that make no sense."""
    return SCHOOLWORK | {
        "manifest.csv": manifest(
            "1.1", "academicSessions", "classes", "enrollments", "orgs", "users",
            absent=f"{NOT_ROSTERED} results",
        ),
        "orgs.csv": department(**NOW, identifier="BIRDS", parentSourcedId="school-1"),
        "users.csv": table(USERS, full(orgSourcedIds="dep-1"), end="\r\n"),
    }  # fmt: skip


def one_point_one_minimal() -> Files:
    """Return what has the required columns filled, and no others."""
    roles = {"t-1": "teacher", "s-1": "student", "p-1": "parent", "s-2": "student"}
    people = [person(own, role, enabledUser="TRUE") for own, role in roles.items()]
    return SCHOOLWORK | {
        "manifest.csv": one_point_one_full()["manifest.csv"],
        "orgs.csv": department(),
        "users.csv": table(
            USERS, [each | {"orgSourcedIds": "dep-1"} for each in people], end="\r\n"
        ),
    }


def one_point_two_full() -> Files:
    """Return misspelt headers, roles under too many columns, and profiles that are those roles."""
    header = (
        f"{IDS},enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,"
        "phone,agentSourcedIds,grades,password,userMasterIdentifier,prefferedGivenName,"
        "prefferedMiddleName,prefferedFamilyName,primaryOrgSourcedId,pronouns"
    )
    people = [
        {name: cell for name, cell in each.items() if name != "role"}
        | {"dateLastModified": "29/02/2024" if each.get("status") else ""}
        for each in full(primaryOrgSourcedId="dep-1", pronouns="they/them")
    ]
    held = [
        ("t-1", "primary", "teacher"),
        ("s-1", "primary", "student"),
        ("p-1", "secondary", "siteAdministrator"),
        ("t-2", "primary", "teacher"),
        ("s-2", "primary", "student"),
        ("t-1", "secondary", "guardian"),
    ]
    columns = "sourcedId,status,dataLastModified,userSourcedId,roleType,role,beginDate,endDate"
    rows = [
        f"role-{n},active,2024-02-29,{own},{kind},{role},2024-02-29,2030-02-28,dep-1"
        for n, (own, kind, role) in enumerate(held)
    ]
    roles = "\r\n".join([f"{columns},orgSourcedId,,", *rows, ""])
    return SCHOOLWORK | {
        "manifest.csv": manifest(
            "1.2", "academicSessions", "classes", "enrollments", "orgs", "roles", "users",
            absent=f"{NOT_ROSTERED} lineItemScoreScales results",
        ).replace("file.results,absent", "file.results,absent\r\nfile.userProfiles,"),
        "orgs.csv": department(**NOW, identifier="BIRDS", parentSourcedId="school-1"),
        "users.csv": table(header, people, end="\r\n"),
        "roles.csv": roles,
        "userprofiles.csv": roles,
    }  # fmt: skip


def empty_template() -> Files:
    """Return headers without rows, some of them metadata, and a manifest in quotes."""
    address = ",".join(f"metadata.{name}" for name in ("address1", "city", "postCode"))
    bulk = ("academicSessions", "orgs", "courses", "classes", "users", "enrollments")
    modes = {f"file.{name}": "bulk" for name in bulk} | {"file.demographics": "absent"}
    properties = {"manifest.version": "1.0", "oneroster.version": "1.1"} | modes
    properties |= {f"file.{name}": "absent" for name in ("resources", "categories", "results")}
    lines = [f'"{name}","{value}"' for name, value in properties.items()]
    headers = {
        "academicSessions": SESSIONS,
        "classes": CLASSES,
        "courses": COURSES,
        "demographics": f"{IDS},birthDate,sex,{RACES}",
        "enrollments": ENROLLMENTS,
        "orgs": f"{ORGS},{address}",
        "users": USERS,
    }
    files = {f"{name}.csv": table(header, end="\r\n") for name, header in headers.items()}
    return files | {"manifest.csv": "\r\n".join(['"propertyName","value"', *lines])}


def loose() -> Files:
    """Return a manifest of 1.1 over headers of 1.0, with columns that only its vendor knows."""
    own = ",".join(f"ext_vendor_{name}" for name in ("id", "sso", "password", "grade", "language"))
    kin = "ext_vendor_motherName,ext_vendor_fatherName"
    users = (
        "sourcedId,enabledUser,status,dateLastModified,orgSourcedIds,role,username,userId,"
        f"givenName,familyName,identifier,email,sms,phone,agents,{own},{kin}"
    )
    orgs = f"{IDS},name,type,identifier,metadata.kind,metadata.boarding,parentSourcedId"
    # Cells stand under the names of their neighbours, as in an export that lost a column.
    shifted = {"enabledUser": "TRUE", "familyName": "canary-7", "identifier": "a person, said so"}
    names = ("academicSessions", "orgs", "courses", "classes", "users", "enrollments")
    return {
        "manifest.csv": manifest("1.1", *names, "demographics", absent="resources results"),
        "orgs.csv": table(
            f"{orgs},ext_vendor_id",
            [
                {"sourcedId": "11", **NOW, "name": "One", "type": "school"},
                {"sourcedId": "12", "name": "Two", "type": "school", "metadata.kind": "day"},
            ],
        ),
        "users.csv": table(
            users,
            [
                person("one", "student", orgSourcedIds="11", userId="x", **shifted)
                | {"ext_vendor_motherName": "metadata.first"},
                person("two", "student", orgSourcedIds="12", userId="x", **shifted),
                person("three", "student", orgSourcedIds="12", userId="y", **shifted),
            ],
        ),
        "demographics.csv": table(f"userSourcedId,status,dateLastModified,birthdate,sex,{RACES}"),
        "academicSessions.csv": table(SESSIONS.removesuffix(",schoolYear")),
        "courses.csv": table(f"{IDS},schoolYearId,metadata.length,title,courseCode,grade"),
        "classes.csv": table(
            f"{IDS},title,grade,classType,schoolSourcedId,ext_vendor_id",
            [{"sourcedId": "class-1", "title": "Birds", "grade": "2", "schoolSourcedId": "11"}],
        ),
        "enrollments.csv": table(
            "sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role,status,dateLastModified",
            [{"sourcedId": "enr-1", "classSourcedId": "class-1", "userSourcedId": "one"}],
        ),
    }


# -- OneRoster without a manifest


def prefixed() -> Files:
    """Return files named after their system, a column `orgs`, and names in other scripts."""
    known = NOW | {"enabledUser": "True"}
    people = [
        person("1", "student", orgs="org1", grades="10,11"),
        person("2", "teacher", orgs="org1"),
        person("3", "student", orgs="org4", grades="10", givenName="Νίκη", familyName="Καναρίνη"),
        person("4", "student", orgs="org5", grades="11", givenName="솔이", familyName="카나리"),
        person("5", "teacher", orgs="org2", givenName="Жанна", familyName="Канарейкина"),
        person("6", "administrator", orgs="org1"),
    ]
    kinds = ("school", "department", "department", "class", "class")
    orgs = [
        {"sourcedId": f"org{n}", **NOW, "name": f"Org {n}", "type": kind}
        for n, kind in enumerate(kinds, 1)
    ]
    users = f"{IDS},username,userIds,enabledUser,givenName,familyName,email,role,grades,orgs"
    return {
        "sample_academicSessions.csv": table(
            f"{IDS},title,startDate,endDate,type,schoolYear,parentSourcedId",
            [{"sourcedId": "year", **NOW, "title": "A year", "type": "schoolYear"}],
        ),
        "sample_orgs.csv": table(ORGS, orgs),
        "sample_users.csv": table(
            users, [each | known | {"userIds": each["sourcedId"]} for each in people]
        ),
    }


def families() -> Files:
    """Return one parent of two children, and a principal, under long ids."""
    school = "0c5f1d1e-7a52-4c0e-9d5a-3f6f6b1b2a01"
    parent = "5b8e2f30-11aa-4f6b-8c55-9f7f0c3d4e02"
    children = [f"9d2c4b6a-30f1-4e7d-a1b2-c3d4e5f6070{n}" for n in (3, 4)]
    principal = "e1f2a3b4-c5d6-4788-9900-aabbccddee05"
    people = [
        person(parent, "parent", userIds="73119901"),
        *(person(own, "student", agentSourcedIds=parent, grades="10") for own in children),
        person(principal, "principal", grades="KG"),
    ]
    orgs = [
        {"sourcedId": "d0d0d0d0-0000-4000-8000-000000000000", "name": "A", "type": "district"},
        {"sourcedId": school, "name": "B", "type": "school"},
    ]
    known = {"status": "active", "enabledUser": "true", "orgSourcedIds": school}
    return {
        "orgs.csv": table(ORGS, [each | {"status": "active"} for each in orgs]),
        "users.csv": table(USERS, [each | known for each in people]),
    }


def school_of_families() -> Files:
    """Return one file of sixty families: 120 parents, 150 students, 300 links.

    One to three parents have one to four children together. Their org is in no file. E-mails have
    apostrophes, and are those of the whole family.
    """
    people = []
    for family in range(60):
        parents = [f"f{family}-p{n}" for n in range(family % 3 + 1)]
        children = [f"f{family}-s{n}" for n in range(family % 4 + 1)]
        known = {
            "status": "active",
            "enabledUser": "true",
            "orgSourcedIds": "qwertz12345",
            "email": f"o'canary{family}@canary.example",
        }
        people += [
            person(own, "parent", userIds=f"{family:03}{n}", **known)
            for n, own in enumerate(parents)
        ]
        people += [
            person(own, "student", agentSourcedIds=",".join(parents), grades="09", **known)
            for own in children
        ]
    return {"people.csv": table(USERS, people)}


def snapshot(step: str = "") -> Files:
    """Return one of five states of a school whose people stay the same, while its courses change.

    Most of its people are at an org that orgs.csv spells otherwise.
    """
    users = (
        f"{IDS},enabledUser,orgSourcedIds,role,username,givenName,familyName,middleName,"
        "password,email"
    )
    people = [
        person("101", "student", orgSourcedIds="Sch_1", enabledUser="TRUE"),
        person("102", "student", orgSourcedIds="Sch_2", enabledUser="FALSE"),
        person("103", "student", orgSourcedIds="Sch_2", enabledUser="TRUE"),
    ]
    orgs = [("Sch_1", "school"), ("Sch_O2", "school"), ("All", "district")]
    courses = [{"sourcedId": "c-1", **NOW, "title": "Birds"}]
    changed = {"Step1-UpdateCourse": "inactive", "Step2-AddCourse": "active"}
    if step in changed:
        courses += [{"sourcedId": "c-2", **NOW, "status": changed[step], "title": "Cats"}]
    classes = [{"sourcedId": "k-1", **NOW, "status": "toBeDeleted", "title": "Birds"}]
    if step == "Step4-AddClass":
        classes += [{"sourcedId": "k-2", **NOW, "title": "Birds"}]
    return {
        "orgs.csv": table(
            f"{IDS},name,type,identifier",
            [{"sourcedId": own, **NOW, "name": own, "type": kind} for own, kind in orgs],
        ),
        "users.csv": table(users, [each | NOW for each in people]),
        "courses.csv": table(f"{IDS},schoolYearSourcedId,title,courseCode,orgSourcedId", courses),
        "classes.csv": table(f"{IDS},title,grades,courseSourcedId", classes),
    }


# -- all of them

SNAPSHOTS = ("", "Step1-UpdateCourse", "Step2-AddCourse", "Step3-DeleteCourse", "Step4-AddClass")
PACKAGES: dict[str, Callable[[], Files]] = {
    "one-point-one-full": one_point_one_full,
    "one-point-one-minimal": one_point_one_minimal,
    "one-point-two-full": one_point_two_full,
    "empty-template": empty_template,
    "loose": loose,
    "prefixed": prefixed,
    "families": families,
    "school-of-families": school_of_families,
    "sds-v1": lambda: sds.version_one(students=5, teachers=2),
    "sds-v1-large": lambda: sds.version_one(students=24, teachers=6),
    "sds-v1-minimal": lambda: sds.version_one_minimal(students=5, teachers=2),
    "sds-v2": sds.version_two,
    "sds-v2-1": sds.version_two_one,
    **{f"snapshots/{step}": partial(snapshot, step) for step in SNAPSHOTS},
}
# Each of them as a path to read: one is a single file in its folder.
ROSTERS = [f"{name}/people.csv" if name == "school-of-families" else name for name in PACKAGES]


def package(name: str, path: Path) -> Path:
    """Write a package into a folder of its name below a path; return what is to be read.

    That is the folder, or the one file of it that the name ends with.
    """
    of_package, _, file = name.partition("/") if name.endswith(".csv") else (name, "", "")
    return folder(path / of_package, PACKAGES[of_package]()) / file
