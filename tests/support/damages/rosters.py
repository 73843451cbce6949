"""Valid rosters of six formats, with what TimeBack has to hold when they were read."""

import random
from typing import Any

from tests.support.damages.case import Case
from tests.support.damages.files import Line, Sheet
from tests.support.damages.schools import RELATIONS, Family, families_of

__all__ = ["FORMATS", "NOW", "case_of", "case_of_family", "put", "vary"]

FORMATS = ("1.1", "1.2", "1.1 delta", "1.2 delta", "SDS v1", "SDS v2.1")
AT_TIMEBACK = {"PK": "PK", "KG": "K", **{f"{grade:02}": str(grade) for grade in range(1, 13)}}
NOW = "2026-01-05T06:00:00.000Z"


# -- the truth, as TimeBack has to hold it


def truth_of(family: Family, own: str) -> dict[str, Any]:
    """Return the record of one person, in the form of `verdict.facts_of`."""
    each = family.people[own]
    role = each["role"]
    if role == "administrator":
        is_district = family.orgs[each["orgs"][0]] == "district"
        role = "districtAdministrator" if is_district else "siteAdministrator"
    truth: dict[str, Any] = {
        "kind": "student" if role == "student" else "user",
        "sourcedId": own,
        "org": each["orgs"][0],
        **{field: each[field] for field in ("status", "enabledUser", "givenName", "familyName")},
    }
    for field in ("middleName", "username", "email", "phone", "identifier"):
        if each[field]:
            truth[field] = each[field]
    if each["grade"]:
        truth["grades"] = (AT_TIMEBACK[each["grade"]],)
    if each["birth"]:
        truth["birthDate"] = each["birth"].isoformat()
    if role != "student":
        held = {("primary", role, org) for org in each["orgs"]}
        truth["roles"] = frozenset(held | {("secondary", *more) for more in each["secondary"]})
    return truth


# -- the files


def case_of(seed: int, kind: str) -> Case:
    """Return a valid package of one format, with its truth."""
    draw = random.Random(f"files {seed} {kind}")
    case = case_of_family(families_of(seed, kind), kind, seed, draw)
    vary(case, draw)
    return case


def case_of_family(family: Family, kind: str, seed: int, draw: random.Random) -> Case:
    """Return a school as a package of one format, in the plainest form."""
    sheets = {"SDS v1": _version_one, "SDS v2.1": _version_two_one}.get(kind, _oneroster)(
        family, kind, draw
    )
    truth = {own: truth_of(family, own) for own in family.people}
    return Case(kind, seed, sheets, truth, dict(family.links), set(family.orgs))


def vary(case: Case, draw: random.Random) -> None:
    """Choose quotes, line ends, a mark and an order of columns, all of which are allowed."""
    end = draw.choice(("\r\n", "\r\n", "\n", "\n", "\r"))
    quoting, mark = draw.choice(("minimal", "minimal", "all", "filled")), draw.random() < 0.3
    for sheet in case.sheets.values():
        sheet.end, sheet.quoting = end, quoting
        sheet.mark = b"\xef\xbb\xbf" if mark else b""
        sheet.has_last_end = draw.random() < 0.8
        if draw.random() < 0.3 and sheet.target != "manifest":
            order = list(range(len(sheet.fields)))
            draw.shuffle(order)
            sheet.fields = [sheet.fields[n] for n in order]
            for line in (sheet.head, *sheet.lines):
                line.cells = [line.cells[n] for n in order]


def _sheet(name: str, target: str, columns: dict[str, str]) -> Sheet:
    return Sheet(name, target, list(columns.values()), list(columns))


def _own_names(text: str) -> dict[str, str]:
    return {name: name for name in text.split()}


def put(sheet: Sheet, owners: set[str], links: set[tuple[str, str]], **cells: str) -> None:
    sheet.lines.append(Line([cells.get(field, "") for field in sheet.fields], owners, links))


def _oneroster(family: Family, kind: str, draw: random.Random) -> dict[str, Sheet]:
    is_delta, has_roles = kind.endswith("delta"), kind.startswith("1.2")
    dated = {"status": "active", "dateLastModified": NOW} if is_delta else {}
    base = "sourcedId status dateLastModified"
    only = "enabledUser username" if has_roles else "enabledUser orgSourcedIds role username"
    users = _sheet(
        "users.csv",
        "users",
        _own_names(
            f"{base} {only} userIds givenName familyName middleName identifier email sms phone "
            "agentSourcedIds grades password"
            + (" primaryOrgSourcedId pronouns" if has_roles else "")
        ),
    )
    orgs = _sheet("orgs.csv", "orgs", _own_names(f"{base} name type identifier parentSourcedId"))
    roles = _sheet(
        "roles.csv",
        "roles",
        _own_names(
            f"{base} userSourcedId roleType role beginDate endDate orgSourcedId "
            "userProfileSourcedId"
        ),
    )
    births = _sheet("demographics.csv", "demographics", _own_names(f"{base} birthDate sex"))
    for org, what in family.orgs.items():
        parent = "" if what == "district" else "district-1"
        put(orgs, set(), set(), sourcedId=org, name=f"Org {org}", type=what,
             parentSourcedId=parent, **dated)  # fmt: skip
    side = draw.choice(("student", "agent", "both"))
    for own, each in family.people.items():
        pairs = [pair for pair in family.links if own in pair]
        is_named = side == "both" or (side == "student") == (each["role"] == "student")
        others = [two if one == own else one for one, two in pairs] if is_named else []
        # Among several schools the file has to say which is the primary org, but for a district.
        is_open = sum(family.orgs[org] == "school" for org in each["orgs"]) < 2
        is_given = not is_open or draw.random() < 0.5
        given = {"primaryOrgSourcedId": each["orgs"][0] if is_given else ""}
        in_file = each["orgs"][::-1] if is_open and draw.random() < 0.5 else each["orgs"]
        put(
            users, {own}, {(own, other) for other in others},
            **{field: each[field] for field in (
                "enabledUser", "role", "username", "givenName", "familyName", "middleName",
                "identifier", "email", "phone",
            )},
            sourcedId=own, orgSourcedIds=",".join(in_file), agentSourcedIds=",".join(others),
            grades=each["grade"], **dated, **given,
        )  # fmt: skip
        rows = [("primary", each["role"], org) for org in in_file]
        rows += [("secondary", *more) for more in each["secondary"]]
        for role_type, role, org in rows:
            put(roles, {own}, set(), sourcedId=f"role-{len(roles.lines)}", userSourcedId=own,
                 roleType=role_type, role=role, orgSourcedId=org, **dated)  # fmt: skip
        if each["birth"]:
            put(births, {own}, set(), sourcedId=own, birthDate=each["birth"].isoformat(), **dated)
    manifest = _sheet("manifest.csv", "manifest", _own_names("propertyName value"))
    mode = "delta" if is_delta else "bulk"
    there = ["orgs", "users", "demographics"] + ["roles"] * has_roles
    for name, value in {
        "manifest.version": "1.0", "oneroster.version": kind[:3],
        **{f"file.{name}": mode for name in there},
        **{f"file.{name}": "absent" for name in ("classes", "courses", "enrollments")},
    }.items():  # fmt: skip
        put(manifest, set(), set(), propertyName=name, value=value)
    sheets = [manifest, orgs, users, births] + [roles] * has_roles
    return {sheet.name: sheet for sheet in sheets}


def _version_one(family: Family, kind: str, draw: random.Random) -> dict[str, Sheet]:
    common = {
        "SIS ID": "sourcedId", "School SIS ID": "orgSourcedIds", "First Name": "givenName",
        "Last Name": "familyName", "Username": "username", "Password": "password",
        "Secondary Email": "email", "Middle Name": "middleName", "Status": "status",
    }  # fmt: skip
    learners = _sheet("Student.csv", "users", common | {
        "Student Number": "identifier", "Grade": "grades", "Birthdate": "birthDate",
    })  # fmt: skip
    staff = _sheet("Teacher.csv", "users", common | {"Teacher Number": "identifier", "Title": ""})
    school = _sheet("School.csv", "orgs", {"SIS ID": "sourcedId", "Name": "name", "State ID": ""})
    contacts = _sheet("User.csv", "users", {
        "Email": "email", "First Name": "givenName", "Last Name": "familyName", "Phone": "phone",
        "SIS ID": "sourcedId",
    })  # fmt: skip
    kin = _sheet("Guardianrelationship.csv", "relationships", {
        "SIS ID": "userSourcedId", "Email": "relationshipUserSourcedId", "Role": "relationshipRole",
    })  # fmt: skip
    for org, what in family.orgs.items():
        if what == "school":
            put(school, set(), set(), sourcedId=org, name=f"Org {org}")
    for own, each in family.people.items():
        sheet = {"student": learners, "teacher": staff}.get(each["role"], contacts)
        birth, grade = each["birth"], each["grade"].lstrip("0")
        put(
            sheet, {own}, set(), **{field: each[field] for field in (
                "givenName", "familyName", "username", "email", "middleName", "identifier", "phone",
            )},
            sourcedId=own, orgSourcedIds=each["orgs"][0], status="Active", grades=grade,
            birthDate=f"{birth.month}/{birth.day}/{birth.year}" if birth else "",
        )  # fmt: skip
    for (child, agent), relation in family.links.items():
        put(kin, set(), {(child, agent)}, userSourcedId=child,
             relationshipUserSourcedId=family.people[agent]["email"],
             relationshipRole=relation.title())  # fmt: skip
    sheets = [school, learners, staff] + [contacts, kin] * bool(contacts.lines)
    return {sheet.name: sheet for sheet in sheets}


def _version_two_one(family: Family, kind: str, draw: random.Random) -> dict[str, Sheet]:
    orgs = _sheet("orgs.csv", "orgs", _own_names("sourcedId name type parentSourcedId"))
    users = _sheet(
        "users.csv", "users", _own_names("sourcedId username givenName familyName email phone sms")
    )
    roles = _sheet("roles.csv", "roles", {
        "userSourcedId": "userSourcedId", "orgSourcedId": "orgSourcedId", "role": "role",
        "sessionSourcedId": "", "grade": "grade", "isPrimary": "roleType",
        "roleStartDate": "beginDate", "roleEndDate": "endDate",
    })  # fmt: skip
    kin = _sheet(
        "relationships.csv", "relationships",
        _own_names("userSourcedId relationshipUserSourcedId relationshipRole"),
    )  # fmt: skip
    births = _sheet(
        "demographics.csv", "demographics", {"userSourcedId": "sourcedId", "birthDate": "birthDate"}
    )
    for org, what in family.orgs.items():
        parent = "" if what == "district" else "district-1"
        put(orgs, set(), set(), sourcedId=org, name=f"Org {org}", type=what, parentSourcedId=parent)
    for own, each in family.people.items():
        named = ("username", "givenName", "familyName", "email", "phone")
        put(users, {own}, set(), sourcedId=own, **{field: each[field] for field in named})
        if each["role"] not in RELATIONS:
            role = draw.choice(("teacher", "Faculty")) if each["role"] == "teacher" else "student"
            put(roles, {own}, set(), userSourcedId=own, orgSourcedId=each["orgs"][0], role=role,
                 grade=each["grade"], roleType="true")  # fmt: skip
        if each["birth"]:
            put(births, {own}, set(), sourcedId=own, birthDate=each["birth"].isoformat())
    for (child, agent), relation in family.links.items():
        put(kin, set(), {(child, agent)}, userSourcedId=child, relationshipUserSourcedId=agent,
             relationshipRole=relation)  # fmt: skip
    sheets = [orgs, users, roles, births] + [kin] * bool(kin.lines)
    return {sheet.name: sheet for sheet in sheets}
