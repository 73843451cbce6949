"""What a run will send: the changes of each phase, in the order of the files."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec

from ...models import AgentKey, AgentLink, Student, User
from .._reading.gaps import NONE, Gaps, Untold
from .._reading.roster import Roster
from .entry import Entry
from .state import State

__all__ = ["INSERT_CHANGE", "PHASES", "SCHEMA", "Action", "Change", "Phase", "Plan"]

Action = Literal["create", "update", "link", "relink", "unlink", "deactivate"]
Phase = Literal["people", "links", "unlinks", "deactivations"]
PHASES: tuple[Phase, ...] = ("people", "links", "unlinks", "deactivations")

BATCH = 256
SCHEMA = """
CREATE TABLE changes (
    phase TEXT, action TEXT, kind TEXT, key TEXT, body BLOB, student TEXT, user TEXT, agent_id TEXT,
    relation TEXT, hash BLOB, source TEXT, file TEXT, line INT, gaps BLOB
);
-- Who is in the files, whether to be sent or not.
CREATE TABLE moved (source TEXT, key TEXT);
CREATE TABLE seen (key TEXT PRIMARY KEY, id TEXT, is_left_out INT) WITHOUT ROWID;
"""
INSERT_CHANGE = "INSERT INTO changes VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_decode = {
    kind: msgspec.json.Decoder(of).decode
    for kind, of in (("student", Student), ("user", User), ("person", Untold))
}


class Change(NamedTuple):
    """One record that is to be sent.

    Attributes:
        phase: When: "people", "links", "unlinks", then "deactivations".
        action: What: "create", "update", "link", "relink", "unlink", "deactivate".
        kind: "student", "user" or "agent"; "person" where TimeBack has to tell which.
        sourced_id: Whose: of a link the student's. Of somebody absent, as the state keeps it.
        record: What is sent; None for people who are known from the state alone.
        file: Where it comes from; "" for what is absent.
        line: The line there.
        known: How the state is to keep it, once it is saved.
        gaps: What has to be looked up before it is sent.
    """

    phase: Phase
    action: Action
    kind: str
    sourced_id: str
    record: Student | User | Untold | AgentLink | AgentKey | None
    file: str
    line: int
    known: Entry
    gaps: Gaps = NONE

    @property
    def who(self) -> str:
        """Whose it is, for a person to read: of a link, both its people."""
        link = self.record
        return (
            f"{link.student_id} with {link.user_id}"
            if isinstance(link, AgentLink)
            else self.sourced_id
        )


class Plan:
    """What a run will send, and what it will not.

    Iterate over it with `async for`, or with `for` where nobody waits.

    Attributes:
        roster: What is in the files.
        state: What is known from earlier runs.
        counts: How many changes of each phase and action there are.
        unchanged: How many records the server holds already.
        absent: How many of each kind earlier runs wrote that the files no longer hold.
    """

    def __init__(self, roster: Roster, state: State) -> None:
        self.roster, self.state = roster, state
        self.counts: Counter[tuple[Phase, Action]] = Counter()
        self.unchanged = 0
        self.absent: Counter[str] = Counter()

    def total(self, phase: Phase | None = None) -> int:
        """Return how many changes there are, of all phases or of one."""
        return sum(n for (own, _), n in self.counts.items() if phase in (None, own))

    def changes(self, phase: Phase) -> Iterator[Change]:
        """Yield the changes of one phase, in the order of the files."""
        query = "SELECT * FROM changes WHERE phase = ? ORDER BY rowid"
        for row in self.roster.db.execute(query, (phase,)):
            yield self._change(*row)

    def _change(
        self, phase: Phase, action: Action, kind: str, key: str, body: bytes | None, student: str,
        user: str, agent_id: str, relation: str, digest: bytes, source: str, file: str, line: int,
        gaps: bytes,
    ) -> Change:  # fmt: skip
        record: Any = None
        sourced_id = key
        people = ("", "", "")
        if action == "unlink":
            record, sourced_id = AgentKey(student, agent_id), student
        elif kind == "agent":
            record, sourced_id = AgentLink(student, user, relation, agent_id), student
            people = (self.state.keys.id_of(student), self.state.keys.id_of(user), record.agent_id)
        elif body is not None:
            record = _decode[kind](body)
            sourced_id = record.sourced_id
        known = Entry(key, kind, digest, "saved", None, 0, 0.0, source, *people)
        where = file, line
        return Change(phase, action, kind, sourced_id, record, *where, known, Gaps.from_json(gaps))

    @property
    def has_gaps(self) -> bool:
        """Whether something has to be looked up at the server before it is sent."""
        query = "SELECT EXISTS (SELECT 1 FROM changes WHERE length(gaps) > 0)"
        return bool(self.roster.db.execute(query).fetchone()[0])

    def changing(self) -> Iterator[str]:
        """Yield how the state keeps what is there already and is to be changed."""
        query = "SELECT key FROM changes WHERE action NOT IN ('create', 'link') ORDER BY key"
        return (key for (key,) in self.roster.db.execute(query))

    def moved(self) -> Iterator[tuple[str, str]]:
        """Yield source and key of what is unchanged, and comes from another file than before."""
        return self.roster.db.execute("SELECT source, key FROM moved")

    def __iter__(self) -> Iterator[Change]:
        for phase in PHASES:
            yield from self.changes(phase)

    async def __aiter__(self) -> AsyncIterator[Change]:
        changes = iter(self)

        def some() -> list[Change]:
            with self.roster.lock:
                return list(islice(changes, BATCH))

        while batch := await asyncio.to_thread(some):
            for change in batch:
                yield change

    def __repr__(self) -> str:
        return f"<Plan {dict(self.counts)}, {self.unchanged} unchanged>"
