"""Which links are to be deleted: those of two people, or those in a file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .._results import Outcome
from .._session import TimebackSession
from .._wire.validate import checked
from ..errors import ConfigError, RecordError
from ..models import AgentKey, AgentLink
from ..sync._reading.json_lines import FAILURE, place_in, unwrapped, written

__all__ = ["Entry", "Place", "between", "check_file", "failure_line", "in_file"]

SUFFIXES = (".jsonl", ".ndjson")


class Place(NamedTuple):
    """Where a link stands.

    Attributes:
        file: The file; "" for a link that was named on the command line.
        line: The line there, from 1.
        key: What deletes the link; None if the line is not one of a link.
        text: The line, without its end.
    """

    file: str
    line: int
    key: AgentKey | None
    text: bytes = b""

    @property
    def where(self) -> str:
        """File and line; "" for a link that was named on the command line."""
        return f"{self.file}:{self.line}" if self.file else ""

    @property
    def who(self) -> str:
        """The ids of the student and of the link."""
        return f"{self.key.student_id}, {self.key.agent_id}" if self.key else ""


# Each place with the key to be deleted, or with why there is none.
Entry = tuple[Place, AgentKey | RecordError]


async def between(session: TimebackSession, student: str, user: str) -> Sequence[Entry]:
    """Return the links of a student with one user.

    Raises:
        TimebackError: TimeBack could not be asked, or has no such student.
    """
    entries: list[Entry] = []
    for each in await session.get_user_agents(student):
        try:
            each.check_form("user", "agentId")
        except RecordError as error:
            entries.append((Place("", 0, None), error))
            continue
        if each.user is not None and each.user.sourced_id == user:
            # Where an answer shows no ids, the link can only be the one of the id that is derived.
            key = AgentKey(student, each.agent_id or _derived(student, user))
            entries.append((Place("", 0, key), key))
    return entries


def in_file(path: Path) -> Iterator[Entry]:
    """Yield the links in a file of JSON Lines; its people are passed over.

    Of a file of failures, each link has the place where it stood first.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(b"\xef\xbb\xbf").strip()
            found = unwrapped(text)
            key = _key_in(found.value) if text else None
            if key is not None:
                own = key if isinstance(key, AgentKey) else None
                places = [place for each in found.failures if (place := place_in(each))]
                yield Place(*(places or [(path.name, number)])[-1], own, found.text), key


def check_file(path: Path) -> None:
    """Do nothing for a file of JSON Lines that can be read.

    Raises:
        ConfigError: It is another one, or cannot be read.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path}: must be a .jsonl file of links; to delete the links of a student with a "
            "user, name both"
        )
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None


def _key_in(value: Any) -> AgentKey | RecordError | None:
    """Return what deletes the link in a line, or why nothing does; None for a person."""
    # Of the lines of exports and of files of failures:
    #   {"agent": {"studentId", "agentId"}} -> that link
    #   {"agent": {"studentId", "userId"}}  -> the one of the id that is derived
    #   {"student": …}, {"user": …}         -> a person, who stays
    #   anything else                       -> no link
    match value:
        case {"agent": {"studentId": student, "agentId": agent_id}} if agent_id != "":
            key = AgentKey(student, agent_id)
        case {"agent": {"studentId": str(student), "userId": str(user)}}:
            key = AgentKey(student, _derived(student, user))
        case {"student": _} | {"user": _}:
            return None
        case _:
            return RecordError("", 'is not a link: {"agent": {"studentId", "userId"}}')
    try:
        return checked(key, AgentKey)[0]
    except RecordError as error:
        return error


def _derived(student: str, user: str) -> str:
    return AgentLink(student, user, "").agent_id


def failure_line(place: Place, outcome: Outcome, why: Exception) -> bytes:
    """Return the line of a link that was not deleted.

    It has the key alone: to `upsert`, a whole link would be one to be made.
    """
    failure = {"file": place.file, "line": place.line, "outcome": outcome, "reason": str(why)}
    if place.key is None:
        return msgspec.json.encode({FAILURE: failure | written(place.text)}) + b"\n"
    return msgspec.json.encode({"agent": place.key, FAILURE: failure}) + b"\n"
