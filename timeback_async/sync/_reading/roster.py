"""What was read: students, users and links, each with its place, and the findings."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from ...errors import SessionError
from ...models import AgentLink, Student, User
from ...models.kinds import KINDS
from .._closing import Closing
from .database import RosterDatabase
from .findings import Finding, Findings
from .night import Night
from .options import LoadedOptions
from .records import LeftOut

__all__ = ["BORROWING", "FRAGMENTS", "RECORDS", "ROWS_AT_ONCE", "Roster", "RosterCount", "Source"]

ROWS_AT_ONCE = 500  # rows handled together
RECORDS = "records"  # the source of JSON Lines
FRAGMENTS = "(fragments)"  # the source of people of whom a delta holds no row
BORROWING = (RECORDS, FRAGMENTS)  # sources whose people stay those of another one


class Source(msgspec.Struct):
    """One file that people or links came from, for judging absence.

    Attributes:
        name: Its name from run to run, whatever the name of the file.
        mode: "bulk" or "delta".
        rows: Rows of people that were read, or lines of JSON Lines; 0 in other files.
        repeated: Lines that repeat the link of another line.
        unreadable: Rows whose sourcedId cannot be read.
        is_doubtful: Whether the rows look like a delta, though the manifest says bulk.
        has_agents: Whether it says which people are linked.
        has_unreadable_agents: Whether some of that cannot be read, so that a link may be there.
    """

    name: str
    mode: str
    rows: int = 0
    repeated: int = 0
    unreadable: int = 0
    is_doubtful: bool = False
    has_agents: bool = False
    has_unreadable_agents: bool = False

    @property
    def is_delta(self) -> bool:
        """Whether its rows leave out what has not changed. JSON Lines hold whole records."""
        return self.mode == "delta" and self.name != RECORDS


class RosterCount(NamedTuple):
    """What became of all rows of people: `rows` = `students` + `users` + `repeated` + `left_out`.

    In JSON Lines, where a line is a person or a link, the links are part of that sum.

    Attributes:
        students: Students.
        users: Other people.
        links: Links, whatever they were made of.
        left_out: Rows of which no person, and lines of which no record, could be made.
        rows: Rows of people that were read, or lines of JSON Lines.
        repeated: Further rows of a person, which say the same.
    """

    students: int = 0
    users: int = 0
    links: int = 0
    left_out: int = 0
    rows: int = 0
    repeated: int = 0


class Roster(Closing):
    """Students, users and links of a package. Close it, or use it in a `with` block.

    Attributes:
        name: The file's name, safe to print.
        format: "OneRoster 1.1", "School Data Sync v1", "JSON Lines" and so on.
        findings: What is wrong, odd or worth knowing.
        sources: The files that people and links came from, by name.
        count: How many rows there are, and what became of them.
        began: When it began to be read, in seconds since 1970.
        started: The same on the monotonic clock.
        fingerprint: Differs if the same files would become other records.
        today: The day that roles begin and end by.

    Internal, for the steps of a sync:
        database: Holds the records.
        files: Names of the files of "roles" and "demographics".
        has_births: Whether any birth date is in the files.
        has_all_births: Whether the files hold a full set of birth dates.
        has_all_roles: Whether the files hold all roles, and not only changed ones.
        night: What is as it was, and not read; None if everything is, and nothing is remembered.
    """

    def __init__(
        self,
        name: str,
        options: LoadedOptions,
        on_finding: Callable[[Finding], None] | None = None,
    ) -> None:
        self.name, self.format = name, ""
        self.began, self.started = time.time(), time.monotonic()
        self.findings = Findings(options.strict, self._leave_out, on_finding, options.accept)
        self.sources: dict[str, Source] = {}
        self.files: dict[str, str] = {}
        self.has_births = self.has_all_births = self._is_planned = False
        self.has_all_roles = True
        self.fingerprint, self.today = options.fingerprint(), options.today
        self.count = RosterCount()
        self.night: Night | None = None
        self.database = RosterDatabase()

    def records(self) -> Iterator[Student | User | AgentLink]:
        """Yield every record that is whole, people before links."""
        for kind, body in self.database.records():
            yield KINDS[kind].decode(body)
        for student, user, agent_id, relation, _, _, gaps in self.database.links():
            if not gaps:
                yield AgentLink(student, user, relation, agent_id)

    def left_out(self) -> Iterator[LeftOut]:
        """Yield every row of the files that is left out, or whose link is, with its first reason.

        What is left out only against a state is among them once the roster is planned.
        """
        yield from self.database.left_out()

    def each_source(self) -> Iterable[Source]:
        """Return every source once; one of JSON Lines may stand under several names; internal."""
        return {id(source): source for source in self.sources.values()}.values()

    def begin_planning(self) -> None:
        """Note that the roster is being planned; internal.

        Raises:
            SessionError: It was planned before.
        """
        if self._is_planned:
            raise SessionError("a roster is planned once; read it again")
        self._is_planned = True

    def _leave_out(self, finding: Finding) -> None:
        if finding.line:
            row = LeftOut(finding.file, finding.line, finding.field, finding.reason)
            self.database.add_if_new(row)

    def close(self) -> None:
        """Delete everything that was read, as soon as no other thread uses it."""
        self.database.close()

    def __repr__(self) -> str:
        return f"<Roster {self.format}: {self.count}>"
