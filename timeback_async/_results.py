"""The result of one record of a bulk run."""

import enum
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import force_setattr

__all__ = ["ItemResult", "Outcome"]


class Outcome(enum.StrEnum):
    """Name how one record of a bulk run ended. Every record has exactly one outcome."""

    SAVED = "saved"
    DELETED = "deleted"
    FETCHED = "fetched"
    FAILED = "failed"
    """The server rejected it, or no attempt succeeded."""
    INVALID = "invalid"
    """Not sent: the record breaks a rule; `error` names the field."""
    NOT_SENT = "not_sent"
    """Nothing was done: the run ended before the server looked at the record, a person of the link
    was not saved, or it was a dry run. At most, the server had asked it to wait (429)."""
    UNKNOWN = "unknown"
    """Sent, and no answer says what became of it: it may have been saved. It is safe to send it
    again."""


OK = frozenset({Outcome.SAVED, Outcome.DELETED, Outcome.FETCHED})


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report what became of one record.

    Attributes:
        index: Position of the record in the source, counted from 0.
        kind: "student", "user" or "agent"; "" when unknown.
        sourced_id: The sourcedId of the record; the `agent_id` of a link; "" when unknown.
        outcome: How the record ended.
        error: Why it is not `ok`, or None. A valid record of a dry run has no error.
        status: HTTP status of the last answer, or None when there was no answer.
        attempts: Requests sent for the record.
        elapsed: Seconds from reading the record to this result.
        request_id: The server's id of the last request, or ours; "" when nothing was sent.
    """

    index: int
    kind: str
    sourced_id: str
    outcome: Outcome
    error: Exception | None = None
    status: int | None = None
    attempts: int = 0
    elapsed: float = 0.0
    request_id: str = ""
    # `value` decodes the answer when it is read: in a long run hardly anybody reads it.
    _body: bytes = b""
    _decode: Callable[[bytes], Any] | None = None
    _value: Any = UNSET

    @property
    def ok(self) -> bool:
        """Whether the record was saved, deleted or fetched."""
        return self.outcome in OK

    @property
    def value(self) -> Any:
        """What the single call would return: the record in the answer. None when not `ok`."""
        if self._value is UNSET:
            value = self._decode(self._body) if self._decode is not None else None
            force_setattr(self, "_value", value)
        return self._value

    def __rich_repr__(self) -> Any:
        yield repr(self)

    def __repr__(self) -> str:
        what = f"{self.kind or 'record'} {self.sourced_id!r}"
        why = f": {self.error}" if self.error is not None else ""
        return f"<ItemResult {self.index} {what} {self.outcome}{why}>"
