"""What became of one record."""

import enum
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import force_setattr

__all__ = ["ItemResult", "Outcome"]


class Outcome(enum.StrEnum):
    """How one record ended. Every record ends in exactly one of these."""

    SAVED = "saved"
    DELETED = "deleted"
    FETCHED = "fetched"
    FAILED = "failed"
    """Sent and refused, or never accepted in all attempts."""
    INVALID = "invalid"
    """Not sent: the record cannot be sent as it is."""
    NOT_SENT = "not_sent"
    """Not sent: the run ended before its turn, or what it depends on failed."""
    UNKNOWN = "unknown"
    """Sent, and no answer seen: it may have been saved. Sending it again is safe."""


OK = frozenset({Outcome.SAVED, Outcome.DELETED, Outcome.FETCHED})


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one record.

    Attributes:
        index: Its position in the source, from 0.
        kind: "student", "user" or "agent", or "" where the record does not tell.
        sourced_id: Its id (of a link: the link's own id), or "" where the record has none.
        outcome: How it ended.
        error: Why it is not `ok`; None when it is, and in a dry run.
        status: HTTP status of the last answer, or None when there was none.
        attempts: Requests sent for it.
        elapsed: Seconds from reading it from the source to this result.
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
    # The answer is decoded only when it is looked at: most of a million are not.
    _body: bytes = b""
    _decode: Callable[[bytes], Any] | None = None
    _value: Any = UNSET

    @property
    def ok(self) -> bool:
        """Whether the server has done what was asked."""
        return self.outcome in OK

    @property
    def value(self) -> Any:
        """The record in the answer: what the single call would return. None when not `ok`."""
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
