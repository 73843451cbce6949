"""Valid rosters of five formats, with what TimeBack has to hold when they were read.

The truth comes first: people are invented, and each format writes them down in its own way.
"""

import datetime
import random
from typing import Any

from tests.support.damages.case import Case
from tests.support.damages.files import Line, Sheet

__all__ = [
    "FORMATS", "NOW", "Family", "case_of", "case_of_family", "families_of", "person_of", "put", "vary",
]  # fmt: skip

FORMATS = ("1.1", "1.2", "1.1 delta", "1.2 delta", "SDS v1", "SDS v2.1")
GIVEN = (
    "Ada", "José", "Zoë", "Nan", "None", "Łukasz", "O'Neil", "李", "さくら", "Анна", "Mary Jane",
    "Bjørn", "Ng", "D'Arcy", "Jean-Luc", "True", "Ümit", "Ngọc", "Þóra", "Wm.", 'Robert "Bob"', "E",
)  # fmt: skip
SURNAMES = (
    "Byron", "Muñoz", "Null", "NA", "Müller, Jr.", "O’Brien", "St. John", "Ångström", "王", "van der Berg",
    "García Márquez", "None", "Smith (Jones)", "Nguyễn", "Çelik", "Active", "Test", "D’Souza", "Blank",
)  # fmt: skip
CEDS = ("PK", "KG", "01", "02", "05", "09", "10", "11", "12")
AT_TIMEBACK = {"PK": "PK", "KG": "K", **{f"{grade:02}": str(grade) for grade in range(1, 13)}}
NOW = "2026-01-05T06:00:00.000Z"
RELATIONS = ("parent", "guardian", "relative")


class Family:
    """What is true of a school: its orgs, people and links, before any file is written.

    Attributes:
        orgs: Type of each org by its id.
        people: Facts of each person by id; `role` is OneRoster's, `orgs` the best one first.
        links: The relation of each pair of student and agent.
    """

    def __init__(self) -> None:
        self.orgs: dict[str, str] = {}
        self.people: dict[str, dict[str, Any]] = {}
        self.links: dict[tuple[str, str], str] = {}


def _ids(draw: random.Random, style: int, number: int) -> str:
    raw = draw.getrandbits(120)
    match style:
        case 0:
            return f"{number:06}"
        case 1:
            hexes = f"{raw:032x}"
            return "-".join((hexes[:8], hexes[8:12], hexes[12:16], hexes[16:20], hexes[20:]))
        case 2:
            return f"S{number:05}"
        case 3:
            return f"sis.{number}@school_{number % 3}.example"
        case 4:
            return f"oak/{number}-{'abc'[raw % 3]}"
    return f"{number}{raw % 10}E{number % 90 + 10}"  # looks like a number, and is none


def person_of(role: str, orgs: list[str], **facts: Any) -> dict[str, Any]:
    """Return the facts of one person, of whom little is known unless told."""
    return {
        "role": role, "orgs": orgs, "status": "active", "enabledUser": "true", "givenName": "Ada",
        "familyName": "Byron", "middleName": "", "username": "", "email": "", "phone": "",
        "identifier": "", "grade": "", "birth": None, "secondary": [], **facts,
    }  # fmt: skip


def families_of(seed: int, kind: str) -> Family:
    """Invent a school with 5 to 40 people, in the ways that a format can express."""
    draw = random.Random(f"school {seed} {kind}")
    family = Family()
    style = draw.randrange(6)
    schools = [f"{draw.choice(('S-', '00', 'school.'))}{n}" for n in range(draw.randint(1, 3))]
    family.orgs = {"district-1": "district"} | dict.fromkeys(schools, "school")
    number = draw.randint(1, 900)

    def add(role: str, orgs: list[str], **facts: Any) -> str:
        nonlocal number
        number += draw.randint(1, 9)
        own = _ids(draw, style, number)
        has_name = kind.startswith("SDS") or draw.random() < 0.9
        mails = ("", f"o'user{number}@canary.example", f"u{number}@canary.example")
        family.people[own] = person_of(
            role, orgs,
            givenName=draw.choice(GIVEN), familyName=draw.choice(SURNAMES),
            middleName=draw.choice(("", "", "Q.", "María")),
            username=f"user{number}" if has_name else "",
            email=draw.choice(mails),
            phone=draw.choice(("", "", f"+1 555 01{number % 90 + 10}")),
            identifier=draw.choice(("", f"{number:07}")),
            **facts,
        )  # fmt: skip
        return own

    is_microsoft = kind.startswith("SDS")
    for _ in range(draw.randint(1, 7)):
        org = draw.choice(schools)
        agents = []
        for _ in range(draw.choice((0, 1, 1, 2, 2, 3))):
            role = draw.choice(RELATIONS)
            agents.append(add(role, [org]))
        for _ in range(draw.choice((1, 1, 2, 3))):
            orgs = [org]
            if not is_microsoft and len(schools) > 1 and draw.random() < 0.15:
                orgs.append(draw.choice([each for each in schools if each != org]))
            if not is_microsoft and draw.random() < 0.15:
                orgs.append("district-1")
            child = add(
                "student", orgs,
                grade=draw.choice(CEDS),
                birth=datetime.date(draw.randint(2006, 2020), draw.randint(1, 12), draw.randint(1, 28)),
                enabledUser="true" if is_microsoft else draw.choice(("true", "true", "false")),
            )  # fmt: skip
            for agent in agents:
                family.links[child, agent] = family.people[agent]["role"]
    for _ in range(draw.randint(1, 4)):
        add("teacher", draw.sample(schools, draw.randint(1, 1 if is_microsoft else len(schools))))
    if not is_microsoft:
        add(draw.choice(("aide", "proctor")), [draw.choice(schools)])
        add("administrator", draw.choice((["district-1"], [draw.choice(schools)])))
    for each in family.people.values():
        if kind == "SDS v1":
            is_contact = each["role"] in RELATIONS
            each |= {"phone": each["phone"] if is_contact else "", "status": "active"}
            each |= {"middleName": "", "username": "", "identifier": ""} if is_contact else {}
            each["email"] = each["email"] or (
                f"{each['givenName'][:1]}{number}@x.example" if is_contact else ""
            )
        if kind == "SDS v2.1":
            each |= {"middleName": "", "identifier": ""}
    if kind == "SDS v1":  # the e-mail is the key of the two files of contacts
        for own, each in family.people.items():
            if each["role"] in RELATIONS:
                each["email"] = f"c{list(family.people).index(own)}@canary.example"
    if kind.startswith("1.2"):
        for own, each in list(family.people.items()):
            each["role"] = {"administrator": "siteAdministrator"}.get(each["role"], each["role"])
            if each["role"] == "teacher" and draw.random() < 0.3 and len(schools) > 1:
                each["secondary"] = [("principal", each["orgs"][-1])]
    return family


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
        "users.csv", "users",
        _own_names(
            f"{base} {only} userIds givenName familyName middleName identifier email sms phone "
            "agentSourcedIds grades password" + (" primaryOrgSourcedId pronouns" if has_roles else "")
        ),
    )  # fmt: skip
    orgs = _sheet("orgs.csv", "orgs", _own_names(f"{base} name type identifier parentSourcedId"))
    roles = _sheet(
        "roles.csv", "roles",
        _own_names(
            f"{base} userSourcedId roleType role beginDate endDate orgSourcedId userProfileSourcedId"
        ),
    )  # fmt: skip
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
