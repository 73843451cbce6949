"""Invented schools: their orgs, people and links, before any file is written."""

import datetime
import random
from typing import Any

__all__ = ["RELATIONS", "Family", "families_of", "person_of"]

GIVEN = (
    "Ada", "José", "Zoë", "Nan", "None", "Łukasz", "O'Neil", "李", "さくら", "Анна", "Mary Jane",
    "Bjørn", "Ng", "D'Arcy", "Jean-Luc", "True", "Ümit", "Ngọc", "Þóra", "Wm.", 'Robert "Bob"', "E",
)  # fmt: skip
SURNAMES = (
    "Byron",
    "Muñoz",
    "Null",
    "NA",
    "Müller, Jr.",
    "O\u2019Brien",
    "St. John",
    "Ångström",
    "王",
    "van der Berg",
    "García Márquez",
    "None",
    "Smith (Jones)",
    "Nguyễn",
    "Çelik",
    "Active",
    "Test",
    "D\u2019Souza",
    "Blank",
)
CEDS = ("PK", "KG", "01", "02", "05", "09", "10", "11", "12")
RELATIONS = ("parent", "guardian", "relative")
AGENTS = (0, 1, 1, 2, 2, 3)  # how many a family has


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
    raw = draw.getrandbits(128)
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
    builder = _Builder(draw, kind)
    for _ in range(draw.randint(1, 7)):
        builder.add_family()
    builder.add_staff()
    for own, each in builder.family.people.items():
        builder.fit(own, each)
    return builder.family


class _Builder:
    def __init__(self, draw: random.Random, kind: str) -> None:
        self.family, self._draw, self._kind = Family(), draw, kind
        self._style, self._number = draw.randrange(6), draw.randint(1, 900)
        self._is_microsoft = kind.startswith("SDS")
        names = (draw.choice(("S-", "00", "school.")) for _ in range(draw.randint(1, 3)))
        self._schools = [f"{name}{n}" for n, name in enumerate(names)]
        self.family.orgs = {"district-1": "district"} | dict.fromkeys(self._schools, "school")

    def _add(self, role: str, orgs: list[str], **facts: Any) -> str:
        draw = self._draw
        self._number += draw.randint(1, 9)
        number = self._number
        own = _ids(draw, self._style, number)
        has_name = self._is_microsoft or draw.random() < 0.9
        mails = ("", f"o'user{number}@canary.example", f"u{number}@canary.example")
        self.family.people[own] = person_of(
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

    def add_family(self) -> None:
        draw, org = self._draw, self._draw.choice(self._schools)
        agents = [self._add(draw.choice(RELATIONS), [org]) for _ in range(draw.choice(AGENTS))]
        for _ in range(draw.choice((1, 1, 2, 3))):
            orgs = [org]
            if not self._is_microsoft and len(self._schools) > 1 and draw.random() < 0.15:
                orgs.append(draw.choice([each for each in self._schools if each != org]))
            if not self._is_microsoft and draw.random() < 0.15:
                orgs.append("district-1")
            birth = datetime.date(
                draw.randint(2006, 2020), draw.randint(1, 12), draw.randint(1, 28)
            )
            is_enabled = self._is_microsoft or draw.random() < 0.7
            child = self._add(
                "student", orgs, grade=draw.choice(CEDS), birth=birth,
                enabledUser="true" if is_enabled else "false",
            )  # fmt: skip
            for agent in agents:
                self.family.links[child, agent] = self.family.people[agent]["role"]

    def add_staff(self) -> None:
        draw, schools = self._draw, self._schools
        most = 1 if self._is_microsoft else len(schools)
        for _ in range(draw.randint(1, 4)):
            self._add("teacher", draw.sample(schools, draw.randint(1, most)))
        if not self._is_microsoft:
            self._add(draw.choice(("aide", "proctor")), [draw.choice(schools)])
            self._add("administrator", draw.choice((["district-1"], [draw.choice(schools)])))

    def fit(self, own: str, person: dict[str, Any]) -> None:
        """Leave out what a format cannot say."""
        is_contact = person["role"] in RELATIONS
        if self._kind == "SDS v2.1":
            person |= {"middleName": "", "identifier": ""}
        elif self._kind == "SDS v1" and is_contact:
            person |= {"middleName": "", "identifier": "", "username": ""}
            # The e-mail is the key of the two files of contacts.
            person["email"] = f"c{list(self.family.people).index(own)}@canary.example"
        elif self._kind == "SDS v1":
            person["phone"] = ""
        elif self._kind.startswith("1.2"):
            is_head = self._draw.random() < 0.3 and len(self._schools) > 1
            if person["role"] == "administrator":
                person["role"] = "siteAdministrator"
            elif person["role"] == "teacher" and is_head:
                person["secondary"] = [("principal", person["orgs"][-1])]
