"""The result of an export."""

from typing import Any

import msgspec

from ...errors import TimebackError

__all__ = ["MAX_KEPT_FAILURES", "ExportReport", "Unread"]

MAX_KEPT_FAILURES = 1000


class Unread(msgspec.Struct, frozen=True):
    """A person, or a link of a student, that is not in an export.

    Attributes:
        kind: "student", "user" or "agent".
        sourced_id: Of the person; of a link, the student's.
        reason: Why it is not.
    """

    kind: str
    sourced_id: str
    reason: str


class ExportReport(msgspec.Struct, kw_only=True):
    """What was exported.

    Attributes:
        students, users, links: How many of them.
        failed: How many people, and links, TimeBack has in a form that cannot be sent back, or not
            in whole. A student whose links could not be read counts as well, and so do people whom
            TimeBack counts and does not list.
        failures: The first 1,000 of these.
        requests, retries, throttled, token_requests: Numbers of the session, meanwhile.
        elapsed: Seconds that it took.
        endpoint: Where it was read.
        stopped: Why not everything was read, or "".
    """

    students: int = 0
    users: int = 0
    links: int = 0
    failed: int = 0
    failures: list[Unread] = []
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    token_requests: int = 0
    elapsed: float = 0.0
    endpoint: str = ""
    stopped: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything at TimeBack was exported."""
        return not self.stopped and not self.failed

    def raise_for_failures(self) -> None:
        """Do nothing if all is ok.

        Raises:
            TimebackError: Something is not in the export.
        """
        if not self.ok:
            first = next(iter(self.failures), None)
            why = f"; the first: {first.kind} {first.sourced_id}: {first.reason}" if first else ""
            raise TimebackError(f"{self}{why}")

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return {"ok": self.ok, **values, "elapsed": round(self.elapsed, 3)}

    def __str__(self) -> str:
        numbers = {"student": self.students, "user": self.users, "link": self.links}
        students, users, links = (
            f"{number:,} {noun}{'' if number == 1 else 's'}" for noun, number in numbers.items()
        )
        return (
            f"{students}, {users} and {links} exported"
            + (f"; {self.failed:,} left out, or not whole" if self.failed else "")
            + (f"; stopped: {self.stopped}" if self.stopped else "")
        )
