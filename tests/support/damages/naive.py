"""A reader of OneRoster 1.1 in a hundred lines, and the faults of yesterday's, one by one.

It is here to show that the verdict catches each of these faults. Without any it repairs nothing:
it leaves out every row that is not as the standard says.
"""

import csv
import io
import re
from typing import Any

from tests.support.damages.verdict import Outcome
from timeback_async.sync import Finding, LeftOut

__all__ = ["FAULTS", "read"]

# What yesterday's reader did, and a damage that shows it.
FAULTS = {
    "csv_over_the_whole": "quote_never_closed",
    "lists_at_commas": "list_of_python",
    "any_id": "id_formula",
    "any_text": "text_control",
    "null_is_a_value": "null_of_typed",
    "encoding_of_the_file": "cp1252_line_told",
    "first_row_wins": "two_people_of_one_id",
    "short_rows_unchecked": "cell_lost",
    "births_unread": "date_of_nothing",
    "agents_of_students_alone": "shuffled_rows",
    "errors_uncounted": "id_blank",
}
ID = re.compile(r"[0-9A-Za-z._/@-]{1,255}").fullmatch
GRADES = {"PK": "PK", "KG": "K", **{f"{n:02}": str(n) for n in range(1, 13)}}
ODD = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd#=?&<\"']"
)
ROLES = {"parent", "guardian", "relative", "teacher", "aide", "proctor", "student", "administrator"}
IDS = ("sourcedId", "orgSourcedIds", "agentSourcedIds")
NEEDED = ("sourcedId", "enabledUser", "orgSourcedIds", "role", "givenName", "familyName")
OPTIONAL = ("middleName", "username", "email", "phone", "identifier")


class _Reader:
    def __init__(self, files: dict[str, bytes], fault: str) -> None:
        self.files, self.fault = files, fault
        self.findings: list[Finding] = []
        self.left_out: list[LeftOut] = []

    def error(self, file: str, line: int, field: str = "", detail: str = "") -> None:
        self.findings.append(Finding("row-broken", "error", file, line, field, detail))
        if line and self.fault != "errors_uncounted":
            self.left_out.append(LeftOut(file, line, field, ""))

    def rows(self, file: str) -> list[tuple[int, dict[str, str]]]:
        raw = self.files.get(file, b"").removeprefix(b"\xef\xbb\xbf")
        if self.fault == "encoding_of_the_file":
            try:
                raw.decode()
            except UnicodeError:
                raw = raw.decode("cp1252", "replace").encode()
        lines, found = re.split(rb"\r\n|\r|\n", raw), []
        header = next(csv.reader([lines[0].decode()]), [])
        if self.fault == "csv_over_the_whole":
            text = raw.decode()
            for number, row in enumerate(list(csv.reader(io.StringIO(text, newline="")))[1:], 2):
                if len(row) == len(header):
                    found.append((number, dict(zip(header, row, strict=True))))
                elif row:
                    self.error(file, number)
            return found
        for number, line in enumerate(lines[1:], 2):
            try:
                cells = next(csv.reader([line.decode()], strict=True), [])
            except (csv.Error, UnicodeError):
                self.error(file, number)
                continue
            if self.fault == "short_rows_unchecked":
                cells += [""] * (len(header) - len(cells)) if cells else []
            if any(cells) and len(cells) != len(header):
                self.error(file, number)
            elif any(cells):
                found.append((number, dict(zip(header, cells, strict=True))))
        return found

    def is_odd(self, row: dict[str, str]) -> str:
        """Return the first field that is not as the standard says, or ""."""
        is_free = self.fault == "any_text"
        for field in NEEDED:
            if not row.get(field):
                return field
        for field, cell in row.items():
            is_nothing = field in (
                "email",
                "grades",
                "status",
                "agentSourcedIds",
                "birthDate",
            ) and (
                cell.upper() in ("NULL", "NONE", "NAN", "N/A", "-", "--", "NIL", "NAT", "UNDEFINED")
                or cell[:1] in ("(", "<", "[", "\\", "#")
            )
            if is_nothing and self.fault == "null_is_a_value":
                continue
            if field not in IDS and (
                is_nothing or (ODD.search(cell.replace("'", "")) and not is_free)
            ):
                return field
        ids = [row["sourcedId"]] if self.fault != "any_id" else []
        if self.fault != "lists_at_commas":
            ids += [
                *row["orgSourcedIds"].split(","),
                *filter(None, row["agentSourcedIds"].split(",")),
            ]
        if not all(map(ID, ids)):
            return "sourcedId"
        if row["role"] not in ROLES or row["enabledUser"] not in ("true", "false"):
            return "role"
        is_known = row.get("grades", "") in {"", *GRADES} or self.fault == "null_is_a_value"
        return "" if is_known and row.get("status", "") == "" else "grades"

    def read(self) -> Outcome:
        orgs = {row["sourcedId"]: row["type"] for _, row in self.rows("orgs.csv")}
        born = self.rows("demographics.csv")
        births = {row.get("sourcedId", ""): (number, row) for number, row in born}
        seen: dict[str, list[tuple[int, dict[str, str]]]] = {}
        for number, row in self.rows("users.csv"):
            if field := self.is_odd(row):
                self.error("users.csv", number, field)
            else:
                seen.setdefault(row["sourcedId"], []).append((number, row))
        people: dict[str, dict[str, Any]] = {}
        places, pairs = set(), []
        for own, rows in seen.items():
            if len(rows) > 1 and self.fault != "first_row_wins":
                for number, _ in rows:
                    self.error("users.csv", number)
                continue
            number, row = rows[0]
            places.add(("users.csv", number))
            people[own] = self.person(row, orgs, births.get(own))
            pairs += [(own, each, number) for each in row["agentSourcedIds"].split(",") if each]
        for number, row in born:
            if row.get("sourcedId") not in people:
                self.error("demographics.csv", number, "sourcedId")
        links = {}
        for own, other, number in pairs:
            kinds = {each: people[each]["kind"] for each in (own, other) if each in people}
            if sorted(kinds.values()) != ["student", "user"]:
                self.error("users.csv", number, "agentSourcedIds")
                continue
            if self.fault == "agents_of_students_alone" and kinds[own] != "student":
                continue
            student, agent = (own, other) if kinds[own] == "student" else (other, own)
            ((_, relation, _), *_rest) = people[agent]["roles"]
            links[student, agent] = relation
        return Outcome(people=people, links=links, places=places, findings=self.findings,
                       left_out=self.left_out)  # fmt: skip

    def person(
        self, row: dict[str, str], orgs: dict[str, str], birth: tuple[int, dict[str, str]] | None
    ) -> dict[str, Any]:
        ids = sorted(row["orgSourcedIds"].split(","), key=lambda org: orgs.get(org) != "school")
        role = row["role"]
        if role == "administrator":
            is_district = orgs.get(ids[0]) == "district"
            role = "districtAdministrator" if is_district else "siteAdministrator"
        facts = {
            field: row[field]
            for field in ("sourcedId", "enabledUser", "givenName", "familyName", *OPTIONAL)
            if row[field]
        }
        person: dict[str, Any] = facts | {"status": "active", "org": ids[0]}
        person["kind"] = "student" if role == "student" else "user"
        if role != "student":
            person["roles"] = frozenset(("primary", role, org) for org in ids)
        if row["grades"]:
            person["grades"] = (GRADES.get(row["grades"], row["grades"]),)
        if birth is not None:
            day = birth[1]["birthDate"]
            if re.fullmatch(r"20[01]\d-\d\d-\d\d", day) or self.fault == "births_unread":
                person["birthDate"] = day
            else:
                self.error("demographics.csv", birth[0], "birthDate")
        return person


def read(files: dict[str, bytes], fault: str = "") -> Outcome:
    """Return what a naive reader makes of a package, with one of the `FAULTS` or with none."""
    return _Reader(files, fault).read()
