"""The requests that the mock server has seen, and single ones that it was told to fail."""

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

__all__ = ["Call", "Calls", "Failure", "How", "record_of"]

How = int | Literal["drop_before", "drop_after"]
DROPS = ("drop_before", "drop_after")
MAX_KEPT = 1000


class Call(msgspec.Struct, kw_only=True, eq=False):
    """One request to the rostering API.

    Attributes:
        method: Such as "PUT".
        path: The path, percent-encoded, without the query.
        query: The query without its question mark, or "".
        headers: The header fields; the lookup of a name ignores case.
        body: The body, as it came.
        record: The id of the record that it is about, or "": the sourcedId of a person, the
            `agentId` of a link.
        status: The status of the answer; None until there is one. 499 stands for a dropped
            connection.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    record: str = ""
    status: int | None = None

    def json(self) -> Any:
        """Return the body, decoded from JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:  # the body is personal, and the headers hold a token
        return f"<Call {self.method} {self.path} {self.record!r} {self.status}>"


class Failure:
    """What `MockServer.fail` was told; it knows which requests it has failed.

    Attributes:
        calls: The requests that it has failed.
    """

    def __init__(
        self,
        how: How,
        record: str | None,
        method: str | None,
        nth: int | None,
        times: int | None,
        retry_after: float | None,
    ) -> None:
        is_status = isinstance(how, int) and how is not True and 200 <= how <= 599
        if not is_status and how not in DROPS:
            raise ValueError(f"how: must be a status from 200 to 599, or {' or '.join(DROPS)}")
        for name, number in (("nth", nth), ("times", times)):
            if number is not None and (type(number) is not int or number < 1):
                raise ValueError(f"{name}: must be a whole number, 1 or more; or None")
        self.how, self.retry_after = how, retry_after
        self._record, self._nth, self._times = record, nth, times
        self._method = method and method.upper()
        self._matched = 0
        self.calls: list[Call] = []

    @property
    def called(self) -> bool:
        """Whether it has failed a request."""
        return bool(self.calls)

    @property
    def call_count(self) -> int:
        """How many requests it has failed."""
        return len(self.calls)

    def wants(self, call: Call) -> bool:
        """Count a request, and return whether it is one to fail."""
        if self._record not in (None, call.record) or self._method not in (None, call.method):
            return False
        self._matched += 1
        if self._nth is not None and self._matched != self._nth:
            return False
        return self._times is None or len(self.calls) < self._times

    def __repr__(self) -> str:
        wanted = {"record": self._record, "method": self._method, "nth": self._nth}
        told = ", ".join(f"{name}={value!r}" for name, value in wanted.items() if value is not None)
        return f"<Failure {self.how} ({told or 'every request'}), {self.call_count} times>"


class Calls:
    """The latest requests, and the failures that wait for theirs.

    Attributes:
        failures: In the order in which they were told.
    """

    def __init__(self) -> None:
        self._kept: deque[Call] = deque(maxlen=MAX_KEPT)
        self.failures: list[Failure] = []

    def add(self, call: Call) -> None:
        """Keep a request."""
        self._kept.append(call)

    def failure_of(self, call: Call) -> Failure | None:
        """Return the failure of a request: the first that wants it. Every one counts it."""
        wanting = [failure for failure in self.failures if failure.wants(call)]
        for failure in wanting[:1]:
            failure.calls.append(call)
            return failure
        return None

    def matching(self, method: str | None, record: str | None) -> list[Call]:
        """Return the requests of a method, about a record; None for any."""
        method = method and method.upper()
        return [
            call
            for call in self._kept
            if method in (None, call.method) and record in (None, call.record)
        ]


def record_of(path: str, body: bytes) -> str:
    """Return the id of the record that a request is about, or ""."""
    parts = [unquote(part) for part in path.split("/")[3:]]
    match parts:
        case ["students", _, "agents", agent_id]:
            return agent_id
        case ["users", user_id, *_]:
            return user_id
        case ["students"]:
            try:
                return str(json.loads(body)["student"]["sourcedId"])
            except (ValueError, TypeError, KeyError, RecursionError):
                return ""
    return ""
