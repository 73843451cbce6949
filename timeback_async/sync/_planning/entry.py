"""What the state knows of one record, and how it is written: a JSON array on a line of its own."""

import time
from typing import NamedTuple

import msgspec

__all__ = ["REMOVED_OUTCOMES", "Entry", "Group", "entry_of", "line"]

REMOVED_OUTCOMES = ("deactivated", "deleted")


class Group(NamedTuple):
    """Records of one source and one kind: "student", "user" or "agent"."""

    source: str
    kind: str


class Entry(NamedTuple):
    """What is known of one record.

    Attributes:
        id: The id as the state keeps it: hashed, or in plain text.
        kind: "student", "user" or "agent".
        hash: Of the last saved version; None before the first one, empty after a removal.
        outcome: "saved", "deactivated", "deleted", "failed" or "unknown".
        status: HTTP status of the last answer.
        attempts: Requests of the last run.
        time: Of the last outcome, in seconds since 1970.
        source: The file it came from.
        student: Of a link, the student's id as the state keeps it; else "".
        user: Of a link, the other person's id as the state keeps it; else "".
        agent_id: Of a link, its own id; else "".
    """

    id: str
    kind: str
    hash: bytes | None
    outcome: str
    status: int | None
    attempts: int
    time: float
    source: str
    student: str = ""
    user: str = ""
    agent_id: str = ""

    @property
    def is_held(self) -> bool:
        """Whether the server holds it, or may hold it because an answer was lost."""
        return self.outcome not in REMOVED_OUTCOMES

    def after(
        self, outcome: str, saved: bytes | None, status: int | None, attempts: int
    ) -> "Entry":
        """Return the entry after a request that ended just now."""
        # `_replace` would do the same in three times the time.
        return Entry(
            self.id, self.kind, saved, outcome, status, attempts, time.time(),
            self.source, self.student, self.user, self.agent_id,
        )  # fmt: skip


_encode = msgspec.json.Encoder().encode
entry_of = msgspec.json.Decoder(Entry).decode  # a line, without its end


def line(entry: Entry) -> bytes:
    """Return an entry in the form that `State.write` takes."""
    return _encode(entry) + b"\n"
