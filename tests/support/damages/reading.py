"""Read, plan and run damaged packages, and say what became of them."""

import tempfile
from pathlib import Path
from typing import Any

from tests.support.damages.case import Case
from tests.support.damages.files import Line, write
from tests.support.damages.verdict import Outcome, Verdict, facts_of, judge
from timeback_async import AgentLink
from timeback_async.errors import ConfigError
from timeback_async.sync import Finding, Plan, ReadOptions, Roster, State, plan, read_roster

__all__ = ["Reader", "findings_of", "written"]

MEMORY = Path("/dev/shm")  # noqa: S108 - where there is none, pytest's folder is taken


def written(case: Case) -> tuple[dict[str, bytes], dict[str, dict[int, list[Line]]]]:
    """Return the files of a package, and the lines on each physical line of each file."""
    files, places = dict(case.others), {}
    for name, sheet in case.sheets.items():
        files[name], places[name] = sheet.written()
    return files, places


class Reader:
    """Reads packages one after the other from a folder in memory, and plans them.

    Args:
        state: With which each is compared; it stays as it is.
    """

    def __init__(self, state: State, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self._state = state

    def verdict(self, case: Case) -> tuple[Verdict, Outcome]:
        files, places = written(case)
        found = self.outcome(files, **case.options)
        return judge(case, found, places), found

    def outcome(self, files: dict[str, bytes], **options: Any) -> Outcome:
        write(self._folder, files)
        try:
            with read_roster(self._folder, ReadOptions(**options)) as roster:
                return outcome_of(plan(roster, self._state), roster)
        except ConfigError as error:
            return Outcome(refusal=str(error))

    def close(self) -> None:
        write(self._folder, {})
        self._folder.rmdir()


def findings_of(roster: Roster) -> list[Finding]:
    return [finding for cause in roster.findings.causes for finding in cause.examples]


def outcome_of(changes: Plan, roster: Roster) -> Outcome:
    """Return what a plan would send."""
    people: dict[str, dict[str, Any]] = {}
    links: dict[tuple[str, str], str] = {}
    places, repeated, open_ = set(), [], set()
    for change in changes:
        record = change.record
        if isinstance(record, AgentLink):
            pair = record.student_id, record.user_id
            repeated += [f"twice: link {pair}"] * (pair in links)
            links[pair] = record.relationship_type
        elif change.kind == "person":
            open_.add(change.sourced_id)
            places.add((change.file, change.line))
        elif record is not None and change.phase in ("people", "deactivations"):
            repeated += [f"twice: person {change.sourced_id!r}"] * (change.sourced_id in people)
            people[change.sourced_id] = facts_of(record)
            places.add((change.file, change.line))
    return Outcome(
        open=open_, people=people, links=links, places=places, repeated=repeated,
        findings=findings_of(roster), left_out=list(roster.left_out()),
    )  # fmt: skip
