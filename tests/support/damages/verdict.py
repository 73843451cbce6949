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
from tests.support.damages.told import Outcome, Told

__all__ = ["Outcome", "Verdict", "facts_of", "judge"]


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
            (
                role["roleType"],
                role["role"],
                role["org"]["sourcedId"],
                *(role[day] for day in ("beginDate", "endDate") if role.get(day)),
            )
            for role in facts["roles"]
        )
    return facts


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
    told = Told(case, found, places)
    _judge_people(case, found, told, verdict)
    _judge_links(case, found, told, verdict)
    verdict.silent += found.repeated
    left_out = {(row.file, row.line) for row in found.left_out}
    for finding in found.findings:
        is_row = finding.severity == "error" and finding.line > 0
        if is_row and (finding.file, finding.line) not in left_out:
            verdict.silent.append(f"not in left_out: {finding}")
    if not is_stored:
        _judge_lines(case, found, places, verdict)
    return verdict


def _judge_people(case: Case, found: Outcome, told: Told, verdict: Verdict) -> None:
    # Of `open` people, TimeBack decides: it has none of an invented one, which is a failure then.
    for own in found.people.keys() - case.truth.keys():
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


def _judge_links(case: Case, found: Outcome, told: Told, verdict: Verdict) -> None:
    for pair in found.links.keys() - case.links.keys() - case.possible_links:
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
        known = {number for name, number in told | found.places if name == sheet.name}
        # Parts of one row count together, and so do rows on one line.
        numbers: dict[Line, set[int]] = defaultdict(set)
        for number, lines in places[sheet.name].items():
            for line in lines:
                numbers[line].add(number)
        for number, lines in places[sheet.name].items():
            if any(numbers[line] & known or line.is_merged for line in lines):
                continue
            is_row = any(line is not sheet.head and line not in sheet.preface for line in lines)
            if is_row and any(re.search(r"[^\s,;\t|\"]", sheet.text_of(line)) for line in lines):
                verdict.silent.append(f"uncounted: {sheet.name}:{number}")
