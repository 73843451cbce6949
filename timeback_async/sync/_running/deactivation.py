"""Find people at the server who are absent from the files, and make their records deleted ones."""

import datetime
from collections.abc import AsyncIterator, Collection

from msgspec.structs import replace

from ..._session import TimebackSession, everybody
from ..._wire.pages import MAX_PAGE, Progress
from ...errors import NotFoundError, RecordError
from ...models import Student, User, UserRecord
from .._planning.keys import Keys
from .._reading.terms import learns
from .filling import as_sent
from .gone import is_gone

__all__ = ["deactivated", "people_at_server"]


async def people_at_server(
    session: TimebackSession, keys: Keys, wanted: Collection[str]
) -> AsyncIterator[tuple[str, UserRecord | None]]:
    """Yield the wanted people whom the server has, and None for those whom it has not.

    Each comes with the id as the state keeps it. Plain ids are looked up one by one. With hashed
    ids the server is asked for all users. Of whom its answers say nothing certain, nothing comes.

    Args:
        session: The client, open.
        keys: How the state keeps ids.
        wanted: Ids as the state keeps them.

    Raises:
        TimebackError: The server could not be asked.
    """
    if keys.ids == "plain":
        for key in wanted:
            try:
                yield key, await session.get_user(key)
            except NotFoundError:
                if await is_gone(session, key):
                    yield key, None
        return
    missing = set(wanted)
    for _ in range(2):  # a list that moves while it is read may hide somebody, but hardly twice
        progress = Progress(MAX_PAGE)
        async for person in everybody(session, progress):
            key = keys.id_of(person.sourced_id)
            if key in missing:
                missing.discard(key)
                yield key, person
        if not (missing and progress.is_whole):
            return
    for key in missing:
        yield key, None


def deactivated(
    person: UserRecord, kind: str, today: datetime.date
) -> Student | User | RecordError:
    """Return a person as the server has them, but deleted; or why they cannot be sent.

    Args:
        person: What the server has.
        kind: "student" or "user", as the state has it. Roles at TimeBack are right even if a
            killed run left a wrong kind in the state.
        today: The day that roles begin and end by.
    """
    try:
        is_student = learns(person, today) and (bool(person.roles) or kind == "student")
        return as_sent(replace(person, status="tobedeleted"), is_student=is_student)
    except RecordError as error:
        return error
