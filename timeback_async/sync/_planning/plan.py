"""What a run will send: the changes of each phase, in the order of the files."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from ..._wire.codec import Encoded, encoded_link
from ...errors import ConfigError
from ...models import AgentKey, AgentLink, Student, User
from ...models.kinds import KINDS
from .._reading.gaps import NONE, Fragment, Gaps, Roleless
from .._reading.roster import Roster
from .entry import Entry
from .references import link_id
from .state import State
from .tables import Action, ChangeRow, Phase, PlanTables

__all__ = ["PHASES", "Change", "Plan", "PlanRefusedError"]

PHASES: tuple[Phase, ...] = ("people", "links", "unlinks", "deactivations")
CHANGES_IN_MEMORY = 256  # for `async for`
_decode = {name: kind.decode for name, kind in KINDS.items()} | {
    "person": msgspec.json.Decoder(Roleless).decode
}
_decode_fragment = msgspec.json.Decoder(Fragment).decode


class Change(NamedTuple):
    """One record to be sent.

    Attributes:
        phase: "people", "links", "unlinks" or "deactivations"; they are sent in this order.
        action: "create", "update", "link", "relink", "unlink" or "deactivate".
        kind: "student", "user" or "agent"; "person" if only TimeBack knows which.
        sourced_id: Of the person; of a link, the student's. Of a person who is absent from the
            files, the id as the state keeps it.
        content: What is sent: the JSON of a person as it was read, or a struct; None for people
            who are absent from the files.
        file: The file it comes from; "" for what is absent.
        line: The line there, from 1; 0 for what is absent.
        known: What the state will keep, once it is saved.
        gaps: What has to be looked up at the server before it is sent.
    """

    phase: Phase
    action: Action
    kind: str
    sourced_id: str
    content: bytes | Student | User | AgentLink | AgentKey | None
    file: str
    line: int
    known: Entry
    gaps: Gaps = NONE

    def __repr__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file else "absent"
        return f"<Change {self.action} {self.kind} {self.who!r} ({where})>"

    @property
    def record(self) -> Student | User | Roleless | Fragment | AgentLink | AgentKey | None:
        """What is sent, as a struct: decoded each time that it is looked at."""
        content = self.content
        if not isinstance(content, bytes):
            return content
        return (_decode_fragment if self.gaps.rest else _decode[self.kind])(content)

    @property
    def to_send(self) -> Encoded | Student | User | AgentKey | None:
        """What is sent, as a bulk run takes it: what was encoded when it was read stays so."""
        content = self.content
        if isinstance(content, bytes):
            return Encoded(self.kind, self.sourced_id, content)
        return encoded_link(content) if isinstance(content, AgentLink) else content

    @property
    def who(self) -> str:
        """The person's id, for a person to read; of a link, both ids."""
        link = self.content
        return (
            f"{link.student_id} with {link.user_id}"
            if isinstance(link, AgentLink)
            else self.sourced_id
        )


class PlanRefusedError(ConfigError):
    """A plan that looks like a mistake: it removes too much, or ids have changed.

    Attributes:
        plan: The plan, to look at; it cannot be carried out.
    """

    def __init__(self, plan: "Plan") -> None:
        super().__init__(plan.refusal)
        self.plan = plan

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str]]:
        return ConfigError, (str(self),)  # a plan is tied to the database of its roster


class Plan:
    """What a run will send, and what it will not.

    Iterate over it with `async for`, or with `for` outside of an event loop.

    Attributes:
        roster: What is in the files.
        state: What is known from earlier runs.
        counts: How many changes of each phase and action there are.
        unchanged: How many records the server has already.
        absent: How many records of each kind earlier runs wrote and the files no longer hold.
        refusal: Why it must not be carried out, or "". A plan that is refused can be looked at.
        tables: Where the changes are; internal.
    """

    def __init__(self, roster: Roster, state: State) -> None:
        self.roster, self.state = roster, state
        self.tables = PlanTables(roster.database)
        self.counts: Counter[tuple[Phase, Action]] = Counter()
        self.unchanged = 0
        self.refusal = ""
        self.absent: Counter[str] = Counter()

    def total(self, phase: Phase | None = None) -> int:
        """Return how many changes there are, of all phases or of one."""
        return sum(n for (each, _), n in self.counts.items() if phase in (None, each))

    @property
    def actions(self) -> dict[Action, int]:
        """How many changes there are of each action."""
        return {action: count for (_, action), count in self.counts.items()}

    def changes(self, phase: Phase) -> Iterator[Change]:
        """Yield the changes of one phase, in the order of the files."""
        return map(self._change, self.tables.changes(phase))

    def described(self, change: Change) -> dict[str, Any]:
        """Return a change as JSON types: what is done with whom, and where that stands.

        An absent person of whose id the state keeps a hash alone has an "id_hash" and no "id".
        """
        link = change.content
        ids: dict[str, str] = {"id": change.sourced_id}
        if isinstance(link, AgentLink):
            ids = {"id": link.student_id, "user_id": link.user_id, "agent_id": link.agent_id}
        elif isinstance(link, AgentKey):
            ids = {"id": link.student_id, "agent_id": link.agent_id}
        elif link is None and self.state.ids == "hashed":
            ids = {"id_hash": change.sourced_id}
        return {
            "phase": change.phase,
            "action": change.action,
            "kind": change.kind,
            **ids,
            "file": change.file,
            "line": change.line,
        }

    def _change(self, row: ChangeRow) -> Change:
        # What is sent, and by which id a reader knows it:
        #   an unlink            -> the key of the link; the student's id
        #   another link         -> the link; the student's id
        #   a person in a file   -> the record; its own id
        #   an absent person     -> None, until the server is asked; the id as the state keeps it
        content: bytes | AgentLink | AgentKey | None = row.body
        keys = self.state.keys
        sourced_id, key, saved, people = row.key, row.key, row.hash, ("", "", "")
        if row.action == "unlink":
            content, sourced_id = AgentKey(row.student, row.agent_id), row.student
        elif row.kind == "agent":
            content = AgentLink(row.student, row.user, row.relation, row.agent_id)
            sourced_id = row.student
            key = key or keys.id_of(link_id(row.student, row.user, row.agent_id))
            saved = keys.hash_of(row.relation.encode()) if saved is None else saved
            people = (keys.id_of(row.student), keys.id_of(row.user), content.agent_id)
        elif row.sourced_id is not None and row.body is not None and row.unsaid is not None:
            sourced_id = row.sourced_id
            key = key or keys.id_of(sourced_id)
            saved = keys.hash_of(row.unsaid + row.body) if saved is None else saved
        source = row.source or self.roster.sources[row.file].name
        known = Entry(key, row.kind, saved, "saved", None, 0, 0.0, source, *people)
        return Change(
            row.phase, row.action, row.kind, sourced_id, content, row.file, row.line, known,
            Gaps.from_json(row.gaps),
        )  # fmt: skip

    @property
    def has_gaps(self) -> bool:
        """Whether something has to be looked up at the server before it is sent."""
        return self.tables.has_gaps()

    def changing(self) -> Iterator[str]:
        """Yield the ids, as the state keeps them, of all records about to be overwritten."""
        return self.tables.changing()

    def changed_source(self) -> Iterator[tuple[str, str]]:
        """Yield source and id of the unchanged records that come from another file than before."""
        return self.tables.changed_source()

    def __iter__(self) -> Iterator[Change]:
        for phase in PHASES:
            yield from self.changes(phase)

    async def __aiter__(self) -> AsyncIterator[Change]:
        changes = iter(self)

        def some() -> list[Change]:
            with self.roster.database.lock:
                return list(islice(changes, CHANGES_IN_MEMORY))

        while batch := await asyncio.to_thread(some):
            for change in batch:
                yield change

    def __repr__(self) -> str:
        return f"<Plan {dict(self.counts)}, {self.unchanged} unchanged>"
