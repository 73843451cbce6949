"""Find out what the findings say of a person, a value or a link; see `verdict`."""

import re
from collections import defaultdict
from typing import Any

import msgspec

from tests.support.damages.case import Case
from tests.support.damages.fields import FILE_FIELDS
from tests.support.damages.files import Line
from timeback_async.sync import Finding, LeftOut

__all__ = ["Outcome", "Told"]

# Findings of a whole file that say nothing about what is missing in it.
GENERAL = {
    "manifest-missing", "manifest-differs", "mode-unclear", "mode-doubtful", "version-unknown",
    "package-inside", "name-prefix", "delimiter", "encoding", "rows-wider", "header-name",
    "header-order", "header-incomplete", "absent", "absence-unjudged", "absence-doubtful",
}  # fmt: skip
PEOPLE = {"users", "roles"}
OF_OTHER_FILES = {"roles", "org", "birthDate"}


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


class Told:
    """Finds what the findings say about a person, a field or a link."""

    def __init__(
        self, case: Case, found: Outcome, places: dict[str, dict[int, list[Line]]]
    ) -> None:
        self._targets = case.targets
        self._heads = case.sheets
        self._by_place: dict[tuple[str, int], list[Finding]] = defaultdict(list)
        self._of_file: dict[str, list[Finding]] = defaultdict(list)
        self._by_id: dict[str, list[Finding]] = defaultdict(list)
        self._children: dict[str, list[str]] = defaultdict(list)
        for child, other in case.links if case.kind.startswith("SDS") else ():
            self._children[other].append(child)
        # Rows of a delta about somebody whom TimeBack will not have: the run fails on each of them.
        self._has_strays = bool(found.open - case.truth.keys())
        self._sort(case, found)
        self._lines: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._link_lines: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
        self._files: dict[str, set[str]] = defaultdict(set)
        for name, lines in places.items():
            for number, several in lines.items():
                for line in several:
                    self._place(name, number, line)

    def _place(self, name: str, number: int, line: Line) -> None:
        for own in line.owners:
            self._lines[own].append((name, number))
            self._files[own].add(name)
        for one, two in line.links:
            self._link_lines[one, two].append((name, number))
            self._link_lines[two, one].append((name, number))

    def _sort(self, case: Case, found: Outcome) -> None:
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
        if self._has_strays and field in OF_OTHER_FILES:
            return "error"
        names = {field, *FILE_FIELDS.get(field, ())}
        ranks = {"": 0, "note": 1, "warning": 2, "error": 3}
        best = ""
        if field in ("roles", "org"):  # those of a guardian may follow from those of the children
            lines = [place for child in self._children[own] for place in self._lines[child]]
            for finding in (each for place in lines for each in self._by_place.get(place, ())):
                best = max(best, finding.severity, key=ranks.__getitem__)
        for place in self._lines[own]:
            for finding in self._by_place.get(place, ()):
                target = self._targets[place[0]]
                is_of_birth = target == "demographics"
                # An error in a row of these files, or in the key of any, costs the whole row.
                is_of_row = not finding.field or (
                    finding.severity == "error"
                    and (target in ("demographics", "roles") or finding.field == "sourcedId")
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
                is_named = words & names or any(" " in n and n in finding.detail for n in names)
                if field in allowed and (is_whole or is_named):
                    best = max(best, finding.severity, key=ranks.__getitem__)
        return best

    def _headers(self, name: str, field: str) -> set[str]:
        """Return what the columns of a field are called in the file, as a finding writes it."""
        sheet = self._heads.get(name)
        fields = {field, *FILE_FIELDS.get(field, ())}
        if sheet is None:
            return set()
        found = {
            head.strip()
            for head, each in zip(sheet.head.cells, sheet.fields, strict=False)
            if each in fields and head not in fields
        }
        found |= {head.split("\n")[-1] for head in found}  # the line that is taken for the header
        return found | {"…"} if found else found

    def _names(self, target: str) -> list[str]:
        return [name for name, each in self._targets.items() if each == target]

    def of_link(self, pair: tuple[str, str]) -> bool:
        if any(self._by_place.get(place) for place in self._link_lines[pair]):
            return True
        unread = ("file-unusable", "file-empty")
        if any(each.code in unread for found in self._of_file.values() for each in found):
            return True
        files = {name for name, _ in self._link_lines[pair]}
        files |= {"", *self._names("relationships")}
        return any(
            finding.severity != "note"
            or set(finding.detail.split()) & self._headers(name, "agentSourcedIds")
            for name in files
            for finding in self._of_file.get(name, ())
        )
