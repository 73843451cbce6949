"""What is not the same at TimeBack as in the files, and how much of it there is."""

from typing import Any, Literal

import msgspec

__all__ = ["Compared", "Difference", "What"]

What = Literal["missing", "different", "only_there", "unknown"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One person or link that is not the same at TimeBack: ids, places and names of fields.

    Attributes:
        what: "missing" at TimeBack; "different" there; "only_there", since no file has it; or
            "unknown", because TimeBack could not be asked.
        kind: "student", "user" or "agent"; "person" if only TimeBack knows which.
        sourced_id: Of the person; of a link, the student's.
        user_id: Of a link, the other person's; else "".
        agent_id: Of a link, its own id, if it is known; else "".
        fields: Those that are different, by their names in TimeBack.
        file: The file it comes from; "" if no file has it.
        line: The line there, from 1; 0 if no file has it.
        reason: Why it is "unknown", or why the record of the files cannot be what is there; or "".
    """

    what: What
    kind: str
    sourced_id: str
    user_id: str = ""
    agent_id: str = ""
    fields: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    reason: str = ""

    @property
    def where(self) -> str:
        """File and line; "" if no file has it."""
        return f"{self.file}:{self.line}" if self.file else ""

    @property
    def who(self) -> str:
        """The person's id, for a person to read; of a link, both ids."""
        return f"{self.sourced_id} with {self.user_id}" if self.user_id else self.sourced_id

    @property
    def why(self) -> str:
        """What is different, in words."""
        return self.reason or ", ".join(self.fields)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "what": self.what,
            "kind": self.kind,
            "id": self.sourced_id,
            "user_id": self.user_id,
            "agent_id": self.agent_id,
            "fields": list(self.fields),
            "where": self.where,
            "reason": self.reason,
        }


class Compared(msgspec.Struct):
    """How many people, or links, were compared, by what came of it."""

    same: int = 0
    missing: int = 0
    different: int = 0
    only_there: int = 0
    unknown: int = 0

    @property
    def is_same(self) -> bool:
        """Whether nothing else was found."""
        return not (self.missing or self.different or self.only_there or self.unknown)

    def count(self, what: str) -> None:
        """Count one more."""
        setattr(self, what, getattr(self, what) + 1)
