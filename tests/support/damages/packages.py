"""Damages of what files there are, and of what they say of each other."""

from tests.support.damages.case import Case
from tests.support.damages.catalogue import CELL, FILE, ROW, Draw, cells_of, damage, rows_of
from tests.support.damages.files import Sheet

# -- orgs, agents and roles


@damage(CELL)
def org_unknown(case: Case, draw: Draw) -> bool:
    """A school that orgs.csv does not list (rjeike: Sch_000002, Sch_S00002)."""
    fields = ("orgSourcedIds", "orgSourcedId")
    for sheet, line, place, _ in (
        chosen := cells_of(case, draw, *fields, targets=("users", "roles"))
    ):
        line.cells[place] = f"ghost-{len(case.orgs)}"
        case.orgs.add(line.cells[place])
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def org_rows_lost(case: Case, draw: Draw) -> bool:
    """orgs.csv lists only some of the orgs (catalyst)."""
    for sheet in case.of("orgs"):
        if len(sheet.lines) > 1:
            del sheet.lines[draw.randrange(len(sheet.lines))]
            for own in case.truth:
                case.harm(own, "org", "roles")
            return True
    return False


@damage(CELL)
def org_types_odd(case: Case, draw: Draw) -> bool:
    """Types of orgs in capitals, of other languages, or of no standard."""
    is_known = draw.random() < 0.5
    for sheet in case.of("orgs"):
        place = sheet.place("type")
        for line in sheet.rows() if place is not None else ():
            assert place is not None
            word = line.cells[place]
            line.cells[place] = (
                word.upper() if is_known else draw.choice(("Schule", "elementary", "", "K-12"))
            )
    for own in case.truth if not is_known else ():
        case.harm(own, "org", "roles")
    return bool(case.of("orgs"))


@damage(CELL)
def agent_unknown(case: Case, draw: Draw) -> bool:
    """An agent who is in no file (nicelion: slksldkmlsk49303)."""
    return _name_another(case, draw, lambda own: "ghost-1")


@damage(CELL)
def agent_is_oneself(case: Case, draw: Draw) -> bool:
    """A person who is their own agent."""
    return _name_another(case, draw, lambda own: own)


@damage(CELL)
def agent_makes_no_sense(case: Case, draw: Draw) -> bool:
    """A student's agent who is a student, a parent's who is a parent (catalyst)."""

    def alike(own: str) -> str:
        kind = case.truth[own]["kind"]
        return next((o for o, each in case.truth.items() if each["kind"] == kind and o != own), own)

    return _name_another(case, draw, alike)


def _name_another(case: Case, draw: Draw, other: object) -> bool:
    chosen = cells_of(case, draw, "agentSourcedIds")
    for _, line, place, _ in chosen:
        (own,) = line.owners
        parts = [*line.cells[place].split(","), other(own)]  # type: ignore[operator]
        draw.shuffle(parts)
        line.cells[place] = ",".join(parts)
    return bool(chosen)


@damage(CELL)
def agents_on_both_sides(case: Case, draw: Draw) -> bool:
    """Each names the other (edanalytics/edu_ext_oneroster)."""
    done = False
    for sheet in case.of("users"):
        place, key = sheet.place("agentSourcedIds"), sheet.place("sourcedId")
        for line in sheet.rows() if place is not None else ():
            assert place is not None
            assert key is not None
            own = line.cells[key]
            others = [two if one == own else one for one, two in case.links if own in (one, two)]
            line.cells[place], line.links = ",".join(others), {(own, other) for other in others}
            done |= bool(others)
    return done


def _another_role(case: Case, draw: Draw, **days: str) -> bool:
    """Add a role at another school that does not hold today, before the one that does."""
    schools = sorted(case.orgs - {"district-1"})
    for sheet in case.of("roles"):
        rows = [
            row for row in sheet.rows() if case.truth[next(iter(row.owners))]["kind"] == "student"
        ]
        free = [row for row in rows if sum(o.owners == row.owners for o in sheet.lines) == 1]
        if not free or len(schools) < 2:
            return False
        for line in draw.sample(free, min(3, len(free))):
            (own,) = line.owners
            other = line.copy()
            places = {field: n for n, field in enumerate(sheet.fields)}
            org = draw.choice([each for each in schools if each != case.truth[own]["org"]])
            changes = {"orgSourcedId": org, "sourcedId": f"past-{len(sheet.lines)}", **days}
            if draw.random() < 0.3 and "isPrimary" not in sheet.head.cells:
                changes["role"] = "teacher"
            for field, text in changes.items():
                if field in places:
                    other.cells[places[field]] = text
            sheet.lines.insert(draw.choice((0, len(sheet.lines))), other)
            sheet.lines.sort(key=lambda each: each is not other)
        return True
    return False


@damage(ROW)
def role_ended(case: Case, draw: Draw) -> bool:
    """A mover's old role, which has ended, before the new one."""
    return _another_role(
        case, draw, beginDate="2019-08-01", endDate=draw.choice(("2024-06-15", "2025-01-01"))
    )


@damage(ROW)
def role_of_the_future(case: Case, draw: Draw) -> bool:
    """Next year's role, before this year's."""
    return _another_role(
        case, draw, beginDate="2098-08-01", endDate=draw.choice(("", "2099-06-15"))
    )


@damage(ROW)
def role_dates_odd(case: Case, draw: Draw) -> bool:
    """Dates of a role that are no dates, or that a database means as nothing."""
    for sheet, line, place, _ in (
        chosen := cells_of(case, draw, "beginDate", "endDate", targets=("roles",), is_filled=False)
    ):
        line.cells[place] = draw.choice(
            ("0000-00-00", "31/31/2031", "45512", "4/2/2031", "never", "2031-02-31")
        )
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def role_of_a_stranger(case: Case, draw: Draw) -> bool:
    """Rows of people who are in no other file."""
    for sheet, line in (chosen := rows_of(case, draw, "roles", "demographics")):
        other = line.copy()
        other.owners, other.links = set(), set()
        for field in ("userSourcedId", "sourcedId"):
            place = sheet.place(field)
            if place is not None:
                other.cells[place] = "ghost-2"
        sheet.lines.append(other)
    return bool(chosen)


@damage(ROW)
def role_row_lost(case: Case, draw: Draw) -> bool:
    """Somebody without a row in roles.csv."""
    for sheet, line in rows_of(case, draw, "roles"):
        for other in [each for each in sheet.lines if each.owners == line.owners]:
            sheet.lines.remove(other)
        case.harm_line(sheet, line)
        return True
    return False


# -- several rows of one person


@damage(ROW)
def row_for_each_school(case: Case, draw: Draw) -> bool:
    """Two rows that differ in the school alone (Aeries: article 14000164743)."""
    schools = sorted(case.orgs - {"district-1"})
    for sheet in case.of("users"):
        place = sheet.place("orgSourcedIds")
        rows = [row for row in sheet.rows() if place is not None and "," not in row.cells[place]]
        rows = [row for row in rows if row.cells[place or 0] in schools]
        if place is None or not rows or len(schools) < 2:
            continue
        for line in draw.sample(rows, min(2, len(rows))):
            (own,) = line.owners
            again = line.copy()
            again.cells[place] = draw.choice(
                [each for each in schools if each != line.cells[place]]
            )
            line.is_merged = again.is_merged = True
            truth = case.truth[own]
            if truth["kind"] == "user":
                role = next(iter(truth["roles"]))[1]
                truth["roles"] |= {("primary", role, again.cells[place])}
            sheet.lines.insert(draw.randint(sheet.lines.index(line) + 1, len(sheet.lines)), again)
        return True
    return False


@damage(ROW)
def row_for_each_agent(case: Case, draw: Draw) -> bool:
    """Two rows that differ in the agent alone (a join that nobody has grouped)."""
    done = False
    for sheet in case.of("users"):
        place = sheet.place("agentSourcedIds")
        for line in sheet.rows() if place is not None else ():
            assert place is not None
            parts = line.cells[place].split(",")
            if len(parts) > 1:
                again = line.copy()
                line.cells[place], again.cells[place] = parts[0], ",".join(parts[1:])
                line.is_merged = again.is_merged = done = True
                sheet.lines.insert(
                    draw.randint(sheet.lines.index(line) + 1, len(sheet.lines)), again
                )
    return done


@damage(ROW)
def two_people_of_one_id(case: Case, draw: Draw) -> bool:
    """Different people under one id (Clever: not unique)."""
    rows = rows_of(case, draw, "users", most=9)
    if len(rows) < 2:
        return False
    (sheet, one), (_, two) = draw.sample(rows, 2)
    place = sheet.place("sourcedId")
    assert place is not None
    two.cells[place] = one.cells[place]
    case.harm_line(sheet, one)
    case.harm_line(sheet, two)
    two.owners |= one.owners
    one.owners |= two.owners
    return True


@damage(ROW)
def births_differ(case: Case, draw: Draw) -> bool:
    """Two birth dates of one person."""
    for sheet, line in rows_of(case, draw, "demographics"):
        again = line.copy()
        again.cells[sheet.fields.index("birthDate")] = "2001-01-01"
        sheet.lines.append(again)
        case.harm_line(sheet, line)
        return True
    return False


# -- the package


def _drop(case: Case, sheet: Sheet) -> None:
    del case.sheets[sheet.name]
    case.is_refusable = True


@damage(FILE)
def file_missing(case: Case, draw: Draw) -> bool:
    """A file that the manifest promises is not there (Microsoft: always send the same files)."""
    return _without(case, draw, lambda sheet: _drop(case, sheet))


@damage(FILE)
def file_of_no_bytes(case: Case, draw: Draw) -> bool:
    """A file of no bytes, or of blank lines."""
    content = draw.choice((b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"\0" * 512))

    def empty(sheet: Sheet) -> None:
        case.others[sheet.name] = content
        _drop(case, sheet)

    return _without(case, draw, empty)


@damage(FILE)
def file_of_something_else(case: Case, draw: Draw) -> bool:
    """A page of a login, an error, or a workbook under the name of a CSV."""
    content = draw.choice((
        b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in</body></html>",
        b'{"error": "access denied", "code": 403}\n', b"PK\x03\x04\x14\x00\x06\x00\x08\x00" + bytes(range(256)),
        b"\x1f\x8b\x08\x00" + bytes(range(255, 0, -1)), b"Access denied\n",
    ))  # fmt: skip

    def replace(sheet: Sheet) -> None:
        case.others[sheet.name] = content
        _drop(case, sheet)

    return _without(case, draw, replace)


@damage(FILE)
def file_of_a_header(case: Case, draw: Draw) -> bool:
    """A header without rows, where there should be some."""

    def strip(sheet: Sheet) -> None:
        sheet.lines.clear()
        case.is_refusable = True

    return _without(case, draw, strip)


def _without(case: Case, draw: Draw, change: object) -> bool:
    sheets = case.of("users", "roles", "demographics", "orgs", "relationships", "manifest")
    sheet = draw.choice(sheets)
    if sheet.target == "manifest":
        pass
    elif sheet.target == "users":
        for line in sheet.lines:
            for own in line.owners:
                case.forget(own)
        case.harm_all()
    else:
        case.harm_sheet(sheet)
        if case.kind == "SDS v1" and sheet.target == "relationships":
            case.harm_all()
        if sheet.target == "relationships":
            for _, agent in case.links:
                case.harm(agent)
    change(sheet)  # type: ignore[operator]
    return True


@damage(FILE)
def files_swapped(case: Case, draw: Draw) -> bool:
    """The content of users.csv in another file, and that of the other one in it (catalyst)."""
    others = case.of("roles", "orgs", "demographics")
    users = case.of("users")[0]
    other = draw.choice(others) if others else None
    if other is None:
        return False
    for own in {own for line in users.lines for own in line.owners}:
        case.forget(own)
    case.harm_all()
    users.name, other.name = other.name, users.name
    users.target, other.target = other.target, users.target
    case.sheets = {sheet.name: sheet for sheet in case.sheets.values()}
    case.is_refusable = True
    return True


@damage(FILE)
def files_more(case: Case, draw: Draw) -> bool:
    """Files that nobody reads: copies, locks, notes, files of other standards."""
    head = b"sourcedId,givenName,familyName\r\ncopy-1,Eve,Copy\r\n"
    case.others |= draw.choice((
        {"users (1).csv": head}, {"Copy of users.csv": head}, {"~$users.xlsx": b"x"}, {".DS_Store": b"\0\1"},
        {"users.csv.bak": head}, {"parents.csv": head, "students_old.csv": head}, {"._users.csv": b"\0\5\x16\7"},
        {"Thumbs.db": b"x"}, {"readme.txt": b"x"}, {"users-2025.csv": head}, {"results.csv": head},
    ))  # fmt: skip
    return True


@damage(FILE)
def file_names_in_capitals(case: Case, draw: Draw) -> bool:
    """`USERS.CSV` (catalyst: userprofiles.csv)."""
    for sheet in list(case.sheets.values()):
        sheet.name = sheet.name.upper()
        case.targets[sheet.name] = sheet.target
    case.sheets = {sheet.name: sheet for sheet in case.sheets.values()}
    return True


@damage(CELL)
def manifest_odd(case: Case, draw: Draw) -> bool:
    """A manifest whose words are in capitals, or that names an unknown version."""
    for sheet in case.of("manifest"):
        for line in sheet.rows():
            name, value = sheet.fields.index("propertyName"), sheet.fields.index("value")
            if line.cells[name] == "oneroster.version" and draw.random() < 0.3:
                line.cells[value] += ".1"
            elif draw.random() < 0.5:
                line.cells[value] = line.cells[value].upper()
        return True
    return False


@damage(CELL)
def delta_undated(case: Case, draw: Draw) -> bool:
    """Rows of a delta without status or date, which are needed there."""
    chosen = cells_of(case, draw, "dateLastModified", "status", targets=("users", "roles"))
    if not case.kind.endswith("delta"):
        return False
    for _, line, place, _ in chosen:
        line.cells[place] = ""
    return bool(chosen)
