"""What happens at a school from one night to the next, as a delta and as the truth after it."""

import datetime
import random

from tests.support.damages.case import Case
from tests.support.damages.files import Sheet
from tests.support.damages.rosters import NOW, case_of_family, put, vary
from tests.support.damages.schools import Family, person_of

__all__ = ["bulk_of", "changed", "delta_of"]


class Changes:
    """Who joined, left, moved, was born otherwise, and has another name."""

    def __init__(self) -> None:
        self.joined: list[str] = []
        self.left: list[str] = []
        self.moved: list[tuple[str, str, str]] = []
        self.born: list[str] = []
        self.named: list[str] = []


def changed(family: Family, kind: str, seed: int) -> Changes:
    """Let time pass at a school; return what happened. Each happens to another person."""
    draw = random.Random(f"night {seed} {kind}")
    changes = Changes()
    students = [own for own, each in family.people.items() if each["role"] == "student"]
    plain = [own for own in students if len(family.people[own]["orgs"]) == 1]
    draw.shuffle(plain)
    schools = [org for org, what in family.orgs.items() if what == "school"]
    parents = [own for own, each in family.people.items() if each["role"] == "parent"]
    if len(plain) > 1:
        gone = plain.pop()
        family.people[gone]["status"] = "tobedeleted"
        changes.left.append(gone)
    if plain and len(schools) > 1:
        mover = plain.pop()
        old = family.people[mover]["orgs"][0]
        new = draw.choice([org for org in schools if org != old])
        family.people[mover]["orgs"] = [new]
        changes.moved.append((mover, old, new))
    if plain:
        born = plain.pop()
        family.people[born]["birth"] = datetime.date(2012, 2, 29)
        changes.born.append(born)
    if parents:
        family.people[draw.choice(parents)]["familyName"] = "Of-Another-Name"
        changes.named.append(
            next(
                own
                for own, each in family.people.items()
                if each["familyName"] == "Of-Another-Name"
            )
        )
    joiner = f"joiner-{seed}"
    family.people[joiner] = person_of(
        "student", [schools[0]], grade="05", birth=datetime.date(2014, 4, 17), username=joiner
    )
    changes.joined.append(joiner)
    if parents:
        family.links[joiner, parents[0]] = "parent"
    return changes


def delta_of(family: Family, changes: Changes, kind: str, seed: int) -> Case:
    """Return the changes of a night as a delta that holds nothing else."""
    draw = random.Random(f"delta {seed} {kind}")
    whole = case_of_family(family, f"{kind} delta", seed, draw)
    full = {*changes.joined, *changes.named}
    full |= {own for own, _, _ in changes.moved} if kind == "1.1" else set()
    modes = {"users": "absent", "roles": "absent", "demographics": "absent"}
    sheets = {}
    for sheet in whole.sheets.values():
        if sheet.target == "users":
            full |= _naming(sheet, changes.joined)
            sheet.lines = [line for line in sheet.lines if line.owners & full]
            for own in changes.left:  # by id alone
                put(sheet, {own}, set(), sourcedId=own, status="tobedeleted", dateLastModified=NOW)
        elif sheet.target == "roles":
            sheet.lines = [line for line in sheet.lines if line.owners & {*changes.joined}]
            for own, old, new in changes.moved:
                for org, status in ((old, "tobedeleted"), (new, "active")):
                    put(sheet, {own}, set(), sourcedId=f"role-{own}-{org}", userSourcedId=own,
                        roleType="primary", role="student", orgSourcedId=org, status=status,
                        dateLastModified=NOW)  # fmt: skip
        elif sheet.target == "demographics":
            kept = {*changes.joined, *changes.born}
            sheet.lines = [line for line in sheet.lines if line.owners & kept]
        elif sheet.target == "orgs":
            continue
        if sheet.lines:
            sheets[sheet.name] = sheet
            modes |= {sheet.target: "delta"} if sheet.target in modes else {}
    for line in whole.sheets["manifest.csv"].lines:
        name = line.cells[0].removeprefix("file.")
        if name in modes or name == "orgs":
            line.cells[1] = modes.get(name, "absent")
    whole.sheets = sheets
    vary(whole, draw)
    return whole


def _naming(sheet: Sheet, joined: list[str]) -> set[str]:
    """Return whose row has changed because it alone names somebody who joined."""
    pairs = {pair for line in sheet.lines for pair in line.links}
    return {own for own, other in pairs if other in joined and (other, own) not in pairs}


def bulk_of(family: Family, kind: str, seed: int) -> Case:
    """Return a school as a full set; those who have left are not in it."""
    here = Family()
    here.orgs = family.orgs
    here.people = {own: each for own, each in family.people.items() if each["status"] == "active"}
    here.links = {pair: how for pair, how in family.links.items() if {*pair} <= here.people.keys()}
    draw = random.Random(f"bulk {seed} {kind}")
    case = case_of_family(here, kind, seed, draw)
    vary(case, draw)
    return case
