"""Complete people and links from what the server has, where the files do not say enough."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from ..._session import TimebackSession
from ..._wire.codec import Gone, encoded_link
from ...errors import ApiError, NotFoundError, RecordError
from ...models import AgentLink, Student, User, UserRecord
from .._planning.plan import Change
from .._reading.gaps import NONE, Fragment, Roleless
from .filling import filled
from .linking import NAMED, linked

__all__ = ["as_read", "completed"]

LOOKUPS_AT_ONCE = 64
# Statuses that concern one person; after any other one, no person can be looked up.
STATUSES_OF_ONE_PERSON = (400, 409, 410, 422, 500)


def as_read(changes: Iterable[Change]) -> Iterator[tuple[Change, Any]]:
    """Yield each change with what to send, where the files leave nothing open."""
    return ((change, change.to_send) for change in changes)


async def completed(
    session: TimebackSession,
    changes: Iterable[Change],
    today: datetime.date,
    hash_of: Callable[[bytes], bytes],
) -> AsyncIterator[tuple[Change, Any]]:
    """Yield each change, completed, with what to send: its record, or why there is none.

    A change that could not be completed comes with an error to send in its place, so that no half
    of it is sent.

    Args:
        session: The client, open.
        changes: What is planned.
        today: The day that roles begin and end by.
        hash_of: Returns the hash of what is sent, as the state keeps it.

    Raises:
        TimebackError: The server could not be asked.
    """
    iterator = iter(changes)
    while batch := list(islice(iterator, LOOKUPS_AT_ONCE)):
        records = await asyncio.gather(
            *(_record(session, change, today) for change in batch), return_exceptions=True
        )
        for change, record in zip(batch, records, strict=True):
            if isinstance(record, ApiError) and record.status in STATUSES_OF_ONE_PERSON:
                reason = f"could not be looked up at TimeBack: {record}"
                yield change, RecordError("sourcedId", reason)
            elif isinstance(record, RecordError):  # or it is gone, which `_record` returns
                yield change, record
            elif isinstance(record, BaseException):
                raise record
            elif record is None:
                yield change, change.to_send
            elif isinstance(record, AgentLink):  # it is as if the files had said it
                known = change.known._replace(hash=hash_of(record.relationship_type.encode()))
                yield change._replace(content=record, known=known, gaps=NONE), encoded_link(record)
            else:
                kind = "student" if isinstance(record, Student) else "user"
                known = change.known._replace(kind=kind)
                if change.gaps.rest:  # a file of failures must say no more than its file did
                    yield change._replace(known=known), record
                    continue
                yield change._replace(content=record, kind=kind, known=known), record


async def _record(
    session: TimebackSession, change: Change, today: datetime.date
) -> Student | User | AgentLink | Gone | None:
    """Return the record of a change, its gaps filled; None if it is sent as it is."""
    # Cases, once the server has been asked:
    #   it has the person               -> the record, and what TimeBack has of the gaps
    #   it does not, and a row is whole -> a new person
    #   it does not, and one leaves     -> nothing is left to do
    #   it does not                     -> nobody is made of what files do not say
    gaps = change.gaps
    if gaps == NONE:
        return None
    record = change.record
    if isinstance(record, AgentLink):
        people = [await _named(session, person) for person in gaps.people]
        return linked(record, dict(zip(gaps.people, people, strict=True)), gaps, today)
    assert isinstance(record, Student | User | Roleless | Fragment)
    try:
        known = await session.get_user(change.sourced_id)
    except NotFoundError:
        if isinstance(record, Student | User):
            return None
        if record.status == "tobedeleted":
            return Gone("sourcedId", "is not at TimeBack")
        if isinstance(record, Fragment):
            reason = "is in no file of people, and TimeBack has no such user; send the whole person"
            raise RecordError("sourcedId", reason) from None
        reason = "are in no file, and TimeBack has no such user; send a role"
        raise RecordError("roles", reason) from None
    return filled(record, known, gaps, today)


async def _named(session: TimebackSession, sourced_id: str) -> UserRecord:
    """Return somebody at TimeBack whom the files name without holding.

    Raises:
        RecordError: TimeBack has no such user.
    """
    try:
        return await session.get_user(sourced_id)
    except NotFoundError:
        reason = (
            f"{sourced_id!r} is in no file, and TimeBack has no such user; send that person too"
        )
        raise RecordError(NAMED, reason) from None
