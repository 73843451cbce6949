"""Compare what a package became with its truth: right, told, or silently wrong.

Who is told of what:
  a person who is missing   by an error on a line of theirs in a file of people or roles, by an
                            error that names their id, or by a warning or error of that whole file
  a value that is missing   by a finding on a line of theirs with that field or with none, or by
                            one of the whole column
  a value that is another   the same, but a note is not enough: it says that all was understood
  a link that is missing    by a finding on a line that names the pair, or with one of its people
  somebody or something that is not in the truth is never excused
"""

import re
from collections import defaultdict
from typing import Any

import msgspec

from tests.support.damages.case import ALL, Case
from tests.support.damages.files import Line
from timeback_async.sync import Finding, LeftOut

__all__ = ["NEEDED_CELLS", "RECORD_FIELDS", "Outcome", "Verdict", "facts_of", "judge"]

# The fields of a record that a field of the files decides.
RECORD_FIELDS = {
    "orgSourcedIds": ("org", "roles"), "orgSourcedId": ("org", "roles"),
    "primaryOrgSourcedId": ("org",), "role": ("roles",), "roleType": ("roles", "org"),
    "beginDate": ("roles",), "endDate": ("roles", "org"), "grade": ("grades",),
}  # fmt: skip
FILE_FIELDS: dict[str, set[str]] = defaultdict(set)
for _field, _all in RECORD_FIELDS.items():
    for _each in _all:
        FILE_FIELDS[_each].add(_field)
FILE_FIELDS["roles"] |= {"role"}
NEEDED_CELLS = {
    "users": {"sourcedId", "givenName", "familyName", "role", "orgSourcedIds", "enabledUser", "status"},
    "roles": {"userSourcedId", "role", "orgSourcedId", "roleType", "status", "beginDate", "endDate"},
    "demographics": {"sourcedId", "birthDate", "status"},
    "relationships": {"userSourcedId", "relationshipUserSourcedId"},
}  # fmt: skip
# Findings of a whole file that say nothing about what is missing in it.
GENERAL = {
    "manifest-missing", "manifest-differs", "mode-unclear", "mode-doubtful", "version-unknown",
    "package-inside", "name-prefix", "delimiter", "encoding", "rows-wider", "header-name",
    "header-order", "header-incomplete", "absent", "absence-unjudged", "absence-doubtful",
}  # fmt: skip
PEOPLE = {"users", "roles"}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a package.

    Attributes:
        refusal: Why the whole was refused, or None.
        people: Facts of each person who is sent, or stored.
        links: The relation of each pair.
        places: File and line that each person was read from; empty if that is not known.
        open: People whom only a run can tell from others: it looks them up, or says so.
        findings: All findings.
        left_out: All rows left out.
        repeated: Records that are there twice.
    """

    refusal: str | None = None
    people: dict[str, dict[str, Any]] = {}
    links: dict[tuple[str, str], str] = {}
    places: set[tuple[str, int]] = set()
    open: set[str] = set()
    findings: list[Finding] = []
    left_out: list[LeftOut] = []
    repeated: list[str] = []


class Verdict:
    """What is to be said about one package.

    Attributes:
        silent: What is wrong and nobody is told of.
        costly: What is told, but ought to be right.
        right, told, noted: How many people are right, are told of, or by a note alone.
        is_refused: Whether the whole was refused.
    """

    def __init__(self) -> None:
        self.silent: list[str] = []
        self.costly: list[str] = []
        self.right = self.told = self.noted = 0
        self.is_refused = False


def facts_of(record: Any) -> dict[str, Any]:
    """Return a person's record as the truth is written: without what is blank."""
    raw = record if isinstance(record, dict) else msgspec.to_builtins(record)
    facts = {name: value for name, value in raw.items() if value not in (None, "", [])}
    facts["org"] = facts.pop("primaryOrg", {}).get("sourcedId", "")
    if "grades" in facts:
        facts["grades"] = tuple(facts["grades"])
    birth = facts.pop("demographics", {}).get("birthDate")
    if birth:
        facts["birthDate"] = birth
    facts["kind"] = "student"
    if "roles" in facts:
        facts["kind"] = "user"
        if len({str(role) for role in facts["roles"]}) < len(facts["roles"]):
            facts["a role twice"] = True
        facts["roles"] = frozenset(
            (role["roleType"], role["role"], role["org"]["sourcedId"])
            + tuple(role[day] for day in ("beginDate", "endDate") if role.get(day))
            for role in facts["roles"]
        )
    return facts


class _Told:
    """Finds what the findings say about a person, a field or a link."""

    def __init__(
        self, case: Case, found: Outcome, places: dict[str, dict[int, list[Line]]]
    ) -> None:
        self._targets = case.targets
        self._heads = case.sheets
        self._by_place: dict[tuple[str, int], list[Finding]] = defaultdict(list)
        self._of_file: dict[str, list[Finding]] = defaultdict(list)
        self._by_id: dict[str, list[Finding]] = defaultdict(list)
        for finding in found.findings:
            if finding.line and self._targets.get(finding.file) == "orgs":
                self._of_file[finding.file].append(finding)  # it may be of any of its people
            elif finding.line:
                self._by_place[finding.file, finding.line].append(finding)
            elif finding.code not in GENERAL:
                self._of_file[finding.file].append(finding)
            if finding.code == "manifest-differs":
                for name, target in case.targets.items():
                    if target in finding.detail.split():
                        self._of_file[name].append(finding)
            if finding.severity == "error" and not finding.code.startswith("agent-"):
                for word in re.split(r"[\s,;()'\"]+", finding.detail):
                    self._by_id[word].append(finding)
        self._lines: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._link_lines: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
        self._files: dict[str, set[str]] = defaultdict(set)
        for name, lines in places.items():
            for number, several in lines.items():
                for line in several:
                    for own in line.owners:
                        self._lines[own].append((name, number))
                        self._files[own].add(name)
                    for one, two in line.links:
                        self._link_lines[one, two].append((name, number))
                        self._link_lines[two, one].append((name, number))

    def of_missing(self, own: str) -> bool:
        if self._by_id.get(own) or any(f.severity != "note" for f in self._of_file.get("", ())):
            return True
        for place in self._lines[own]:
            if self._targets[place[0]] in PEOPLE and any(
                finding.severity == "error" for finding in self._by_place.get(place, ())
            ):
                return True
        # A file that could not be used: those who are only in it, or need it.
        return any(
            finding.severity != "note" and self._targets.get(name) in {*PEOPLE, "orgs"}
            for name, findings in self._of_file.items()
            for finding in findings
            if name in self._files[own] or self._targets.get(name) == "orgs"
        )

    def of_field(self, own: str, field: str) -> str:
        """Return the highest severity of the findings about one field; "" if there is none."""
        names = {field, *FILE_FIELDS.get(field, ())}
        ranks = {"": 0, "note": 1, "warning": 2, "error": 3}
        best = ""
        for place in self._lines[own]:
            for finding in self._by_place.get(place, ()):
                is_of_birth = self._targets[place[0]] == "demographics"
                # A row without its key, or with an error of the whole row, says nothing at all.
                is_of_row = not finding.field or (
                    finding.severity == "error" and finding.field in ("sourcedId", "userSourcedId")
                )
                if finding.field in names or (
                    is_of_row and (field == "birthDate" or not is_of_birth)
                ):
                    best = max(best, finding.severity, key=ranks.__getitem__)
        for name in (*self._files[own], *self._names("orgs"), *self._names("demographics"), ""):
            for finding in self._of_file.get(name, ()):
                words = set(re.split(r"[\s,:]+", finding.detail)) | {finding.field}
                names = {field, *FILE_FIELDS.get(field, ()), *self._headers(name, field)}
                is_whole = finding.severity != "note" and (not finding.field or finding.line > 0)
                is_part = {"demographics": {"birthDate"}, "orgs": {"org", "roles"}}
                allowed = is_part.get(self._targets.get(name, ""), {field})
                if field in allowed and (is_whole or words & names):
                    best = max(best, finding.severity, key=ranks.__getitem__)
        return best

    def _headers(self, name: str, field: str) -> set[str]:
        """Return what the columns of a field are called in the file, as a finding writes it."""
        sheet = self._heads.get(name)
        fields = {field, *FILE_FIELDS.get(field, ())}
        if sheet is None:
            return set()
        found = {
            head
            for head, each in zip(sheet.head.cells, sheet.fields, strict=False)
            if each in fields and head not in fields
        }
        return found | {"…"} if found else found

    def _names(self, target: str) -> list[str]:
        return [name for name, each in self._targets.items() if each == target]

    def of_link(self, pair: tuple[str, str]) -> bool:
        if any(self._by_place.get(place) for place in self._link_lines[pair]):
            return True
        files = {name for name, _ in self._link_lines[pair]} | {""}
        return any(
            finding.severity != "note"
            or set(finding.detail.split()) & self._headers(name, "agentSourcedIds")
            for name in files
            for finding in self._of_file.get(name, ())
        )


def judge(
    case: Case, found: Outcome, places: dict[str, dict[int, list[Line]]], is_stored: bool = False
) -> Verdict:
    """Return the verdict on one package; `places` are the lines on each physical line."""
    verdict = Verdict()
    if found.refusal is not None:
        verdict.is_refused = True
        if not case.is_refusable:
            verdict.costly.append(f"refused: {found.refusal[:150]}")
        return verdict
    told = _Told(case, found, places)
    _judge_people(case, found, told, verdict)
    _judge_links(case, found, told, verdict)
    verdict.silent += found.repeated
    left_out = {(row.file, row.line) for row in found.left_out}
    for finding in found.findings:
        if finding.severity == "error" and finding.line:
            if (finding.file, finding.line) not in left_out:
                verdict.silent.append(f"not in left_out: {finding}")
    if not is_stored:
        _judge_lines(case, found, places, verdict)
    return verdict


def _judge_people(case: Case, found: Outcome, told: _Told, verdict: Verdict) -> None:
    for own in (found.people.keys() | found.open) - case.truth.keys():
        verdict.silent.append(f"invented: person {own!r}")
    for own, truth in case.truth.items():
        harmed = case.harmed.get(own, set())
        sent = found.people.get(own)
        if sent is None:
            if own not in found.open and not told.of_missing(own):
                verdict.silent.append(f"lost: person {own!r}")
            elif ALL not in harmed:
                verdict.costly.append(f"left out: person {own!r}, harmed {sorted(harmed)}")
            verdict.told += 1
            continue
        orgs = {sent["org"], *(role[2] for role in sent.get("roles", ()))} - {""}
        for org in orgs - case.orgs:
            verdict.silent.append(f"invented: org {org!r} of {own!r}")
        grade = "right"
        for field in sorted(sent.keys() | truth.keys()):
            is_right = sent.get(field) == truth.get(field)
            if is_right:
                continue
            severity = told.of_field(own, field)
            is_missing = not sent.get(field) or (
                field == "roles" and sent[field] < truth.get(field, frozenset())
            )
            what = f"{own!r}.{field}: {sent.get(field)!r}, truth {truth.get(field)!r}"
            if not severity:
                verdict.silent.append(f"{'lost' if is_missing else 'wrong'}: {what}")
            elif severity == "note" and not is_missing:
                verdict.silent.append(f"wrong with a note alone: {what}")
                grade = "noted"
            else:
                grade = "told"
                if not harmed & {ALL, field}:
                    verdict.costly.append(f"told: {what}")
        setattr(verdict, grade, getattr(verdict, grade) + 1)


def _judge_links(case: Case, found: Outcome, told: _Told, verdict: Verdict) -> None:
    for pair in found.links.keys() - case.links.keys():
        verdict.silent.append(f"invented: link {pair}")
    for pair, relation in case.links.items():
        sent = found.links.get(pair)
        if sent == relation:
            continue
        is_with_person = any(own not in found.people for own in pair)
        is_told = told.of_link(pair) or (is_with_person and any(map(told.of_missing, pair)))
        is_allowed = {pair, pair[::-1]} & case.harmed_links or any(
            case.harmed.get(own, set()) & {ALL, "roles"} for own in pair
        )
        if not is_told:
            verdict.silent.append(f"{'lost' if sent is None else 'wrong'}: link {pair} {sent}")
        elif not is_allowed:
            verdict.costly.append(f"told: link {pair} {sent}")


def _judge_lines(
    case: Case, found: Outcome, places: dict[str, dict[int, list[Line]]], verdict: Verdict
) -> None:
    """Every physical line of people is somebody, part of somebody, or told."""
    told = {(each.file, each.line) for each in found.findings}
    for sheet in case.of("users"):
        for number, lines in places[sheet.name].items():
            is_blank = not any(re.sub(r"[\s,;\t|\"]", "", sheet.text_of(line)) for line in lines)
            is_row = any(line is not sheet.head and line not in sheet.preface for line in lines)
            if is_blank or not is_row or any(line.is_merged for line in lines):
                continue
            spans = {n for n, others in places[sheet.name].items() if set(lines) & set(others)}
            if not {(sheet.name, each) for each in spans} & (told | found.places):
                verdict.silent.append(f"uncounted: {sheet.name}:{number}")
