"""A made-up school with a few records broken on purpose. A seed always gives the same school."""

import random
from collections.abc import Iterator
from datetime import date
from typing import Any

from msgspec import structs

from ..models import AgentLink, Demographics, OrgRef, Role, RoleName, Student, User

__all__ = ["made_up_school"]

GIVEN = "Ada Alan Barbara Claude Donald Edsger Frances Grace Jean John Kathleen Ken Leslie Margaret"
FAMILY = "Allen Backus Booth Byron Dijkstra Hamilton Hopper Knuth Lamport Liskov Ritchie Turing"
ORGS = ("org-1", "org-2")

Record = Student | User | AgentLink


def made_up_school(records: int, seed: int) -> Iterator[tuple[Record, str]]:
    """Yield records of families: a student, one or two parents, and the links between them.

    Args:
        records: About how many records to yield; the last family is complete.
        seed: The same seed gives the same records.

    Yields:
        A record, and what was broken in it on purpose, or "".
    """
    draw = random.Random(seed)
    made = family = 0
    while made < records:
        family += 1
        breakage = _BREAKAGES.get(family)
        for record in _family(draw, family):
            made += 1
            if breakage is not None and isinstance(record, breakage[0]):
                yield structs.replace(record, **breakage[2]), breakage[1]
                breakage = None
            else:
                yield record, ""


def _family(draw: random.Random, number: int) -> Iterator[Record]:
    org, family_name = OrgRef(draw.choice(ORGS)), draw.choice(FAMILY.split())
    yield Student(
        sourced_id=f"student-{number:06}",
        username=f"s{number:06}",
        given_name=draw.choice(GIVEN.split()),
        family_name=family_name,
        grades=[str(draw.randint(1, 12))],
        primary_org=org,
        email=f"s{number:06}@example.org",
        demographics=Demographics(date(2010, 1, 1).replace(year=draw.randint(2008, 2018))),
    )
    for parent in range(1, draw.randint(1, 2) + 1):
        sourced_id = f"parent-{number:06}-{parent}"
        role: RoleName = "parent" if draw.random() < 0.8 else "guardian"
        yield User(
            sourced_id=sourced_id,
            given_name=draw.choice(GIVEN.split()),
            family_name=family_name,
            roles=[Role("primary", role, org)],
            primary_org=org,
            email=f"p{number:06}.{parent}@example.org",
        )
        yield AgentLink(f"student-{number:06}", sourced_id, role)


# By number of the family: the kind of record to break, a description, and the changes.
_BREAKAGES: dict[int, tuple[type, str, dict[str, Any]]] = {
    5: (Student, "no family name", {"family_name": None}),
    10: (User, "an id that is a path", {"sourced_id": "../students"}),
    15: (Student, "a grade that is a number", {"grades": [5]}),
    20: (AgentLink, "a link to nobody", {"user_id": "nobody", "agent_id": ""}),
    25: (User, "an unknown status", {"status": "enrolled"}),
}
