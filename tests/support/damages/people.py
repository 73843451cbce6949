"""Damages of what files say of each other: orgs, agents, roles, several rows of one person."""

from collections.abc import Callable

from tests.support.damages.case import Case
from tests.support.damages.catalogue import CELL, ROW, Draw, cells_of, damage, rows_of


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


def _name_another(case: Case, draw: Draw, other: Callable[[str], str]) -> bool:
    chosen = cells_of(case, draw, "agentSourcedIds")
    for _, line, place, _ in chosen:
        (own,) = line.owners
        parts = [*line.cells[place].split(","), other(own)]
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
            row
            for row in sheet.rows()
            if any(case.truth[own]["kind"] == "student" for own in row.owners)
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
        if case.kind.startswith("SDS"):  # a guardian there is in every school of the children
            rows = [row for row in rows if not row.owners & {own for own, _ in case.links}]
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
            for _, agent in [pair for pair in case.links if pair[0] == own]:
                _add_school(case, agent, again.cells[place])
            sheet.lines.insert(draw.randint(sheet.lines.index(line) + 1, len(sheet.lines)), again)
        return True
    return False


def _add_school(case: Case, agent: str, school: str) -> None:
    """A guardian of School Data Sync is in all schools of the children."""
    truth = case.truth[agent]
    if case.kind == "SDS v1":
        role = next(iter(truth["roles"]))[1]
        truth["roles"] |= {("primary", role, school)}
        truth["org"] = min(org for _, _, org in truth["roles"])


@damage(ROW)
def row_for_each_agent(case: Case, draw: Draw) -> bool:
    """Two rows that differ in the agent alone (a join that nobody has grouped)."""
    done = False
    for sheet in case.of("users"):
        place = sheet.place("agentSourcedIds")
        for line in sheet.rows() if place is not None else ():
            assert place is not None
            parts = "".join(line.cells[place : place + 1]).split(",")
            if len(parts) > 1:
                again = line.copy()
                line.cells[place], again.cells[place] = parts[0], ",".join(parts[1:])
                again.links = {pair for pair in line.links if pair[1] != parts[0]}
                line.links -= again.links
                line.is_merged = again.is_merged = done = True
                sheet.lines.insert(
                    draw.randint(sheet.lines.index(line) + 1, len(sheet.lines)), again
                )
    return done


@damage(ROW, is_alone=True)
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
    for first, second in ((one, two), (two, one)):  # if the other row cannot be read
        others = {other for pair in case.links if {*pair} & second.owners for other in pair}
        case.possible_links |= {(own, other) for own in first.owners for other in others}
        case.possible_links |= {(other, own) for own in first.owners for other in others}
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
