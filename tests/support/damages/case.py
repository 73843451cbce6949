"""One package with its truth, and what the damages done to it may cost at most."""

from typing import Any

from tests.support.damages.fields import NEEDED_CELLS, RECORD_FIELDS
from tests.support.damages.files import Line, Sheet
from tests.support.damages.schools import RELATIONS

__all__ = ["ALL", "Case"]

ALL = "*"


class Case:
    """A package that is being damaged.

    A damage says whom it may cost something: they have to be right, or told of. All others have to
    be right.

    Attributes:
        truth: What TimeBack has to hold of each person.
        links: The relation of each pair of student and agent.
        orgs: Ids of orgs that may be sent.
        options: How it is to be read.
        harmed: Fields that may be lost, by person; `ALL` if the person may be.
        possible_links: Pairs that the files may seem to link.
        harmed_links: Pairs whose link may be lost.
        lost: People of whom the files say nothing any more.
        targets: What each file holds, those that were lost too.
        is_refusable: Whether the whole may be refused.
        others: Files that are no sheets.
    """

    def __init__(
        self,
        kind: str,
        seed: int,
        sheets: dict[str, Sheet],
        truth: dict[str, dict[str, Any]],
        links: dict[tuple[str, str], str],
        orgs: set[str],
    ) -> None:
        self.kind, self.seed, self.sheets = kind, seed, sheets
        self.truth, self.links, self.orgs = truth, links, orgs
        self.options: dict[str, Any] = {}
        self.harmed: dict[str, set[str]] = {}
        self.possible_links: set[tuple[str, str]] = set()
        self.harmed_links: set[tuple[str, str]] = set()
        self.is_refusable = False
        self.others: dict[str, bytes] = {}
        self.targets = {name: sheet.target for name, sheet in sheets.items()}
        self.damages: list[str] = []

    def copy(self) -> "Case":
        sheets = {name: sheet.copy() for name, sheet in self.sheets.items()}
        truth = {own: dict(facts) for own, facts in self.truth.items()}
        return Case(self.kind, self.seed, sheets, truth, dict(self.links), set(self.orgs))

    def of(self, *targets: str) -> list[Sheet]:
        return [sheet for sheet in self.sheets.values() if sheet.target in targets]

    # -- what a damage may cost

    def harm(self, own: str, *fields: str) -> None:
        """A person may lose these fields, or everything."""
        self.harmed.setdefault(own, set()).update(fields or (ALL,))

    def harm_line(self, sheet: Sheet, line: Line) -> None:
        """All that a line says may be lost."""
        self.harmed_links |= line.links
        for own in line.owners:
            if sheet.target == "demographics":
                self.harm(own, "birthDate")
            else:
                self.harm(own)

    def harm_cell(self, sheet: Sheet, line: Line, field: str) -> None:
        """One cell may be lost; with a cell that is needed, the row."""
        if field in NEEDED_CELLS.get(sheet.target, ()):
            self.harm_line(sheet, line)
        elif field == "agentSourcedIds":
            self.harmed_links |= line.links
        elif field == "email" and self.kind == "SDS v1" and "orgSourcedIds" not in sheet.fields:
            self.harm_line(sheet, line)  # of a contact: the relationships name them by it
        else:
            for own in line.owners:
                self.harm(own, *RECORD_FIELDS.get(field, (field,)))
            self.harmed_links |= line.links if field == "relationshipRole" else set()

    def harm_sheet(self, sheet: Sheet) -> None:
        """Nothing of a file may be readable."""
        for line in sheet.lines:
            self.harm_line(sheet, line)
        if sheet.target == "orgs":
            for own in self.truth:
                self.harm(own, "org", "roles")

    def harm_lost(self, sheet: Sheet, line: Line, field: str) -> None:
        """One cell is lost. A student is not sent without a username: TimeBack may have one."""
        self.harm_cell(sheet, line, field)
        for own in line.owners if field == "username" else ():
            if self.truth[own]["kind"] == "student":
                self.harm(own)

    def harm_all(self) -> None:
        for own in self.truth:
            self.harm(own)
        self.harmed_links |= set(self.links)

    def harm_relatives(self) -> None:
        """Those who are somebody only by their relationships may be lost with the last of these.

        School Data Sync gives a guardian no role and no org: both come from the children.
        """
        for own, facts in self.truth.items() if self.kind.startswith("SDS") else ():
            if not {role for _, role, _ in facts.get("roles", ())} & {*RELATIONS}:
                continue
            pairs = [pair for pair in self.links if pair[1] == own]
            harmed = [
                pair
                for pair in pairs
                if {pair, pair[::-1]} & self.harmed_links
                or self.harmed.get(pair[0], set()) & {ALL, "org", "roles"}
            ]
            if len(harmed) == len(pairs):
                self.harm(own)
            elif harmed:
                self.harm(own, "org", "roles")

    def forget(self, own: str) -> None:
        """Nothing in the files speaks of a person any more."""
        self.truth.pop(own, None)
        self.links = {pair: how for pair, how in self.links.items() if own not in pair}
