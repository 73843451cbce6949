"""Complete what the files leave open of people from what the server holds."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Any

from msgspec import UNSET, structs

from ..._session import TimebackSession
from ...errors import ApiError, NotFoundError, RecordError
from ...models import OrgRef, Role, Student, User, UserRecord
from ...models.received import demographics_of
from .._planning.plan import Change
from .._reading.gaps import NONE, Gaps, Roleless

__all__ = ["as_read", "completed"]

LOOKUPS_AT_ONCE = 64
# Statuses that speak of one person; any other means that nobody can be looked up.
OF_ONE = (400, 409, 410, 422, 500)


def as_read(changes: Iterable[Change]) -> Iterator[tuple[Change, Any]]:
    """Yield each change with what to send, where the files leave nothing open."""
    return ((change, change.to_send) for change in changes)


async def completed(
    session: TimebackSession, changes: Iterable[Change]
) -> AsyncIterator[tuple[Change, Any]]:
    """Yield each change, completed, with what to send: its record, or why there is none.

    Of a change that could not be completed no record is left, so that nobody sends half of it.

    Raises:
        TimebackError: The server could not be asked.
    """
    iterator = iter(changes)
    while batch := list(islice(iterator, LOOKUPS_AT_ONCE)):
        records = await asyncio.gather(
            *(_record(session, change) for change in batch), return_exceptions=True
        )
        for change, record in zip(batch, records, strict=True):
            if isinstance(record, ApiError) and record.status in OF_ONE:
                reason = f"what TimeBack holds could not be looked up: {record}"
                yield change._replace(content=None), RecordError("sourcedId", reason)
            elif isinstance(record, RecordError):
                yield change._replace(content=None), record
            elif isinstance(record, BaseException):
                raise record
            elif record is None:
                yield change, change.to_send
            else:
                kind = "student" if isinstance(record, Student) else "user"
                known = change.known._replace(kind=kind)
                yield change._replace(content=record, kind=kind, known=known), record


async def _record(session: TimebackSession, change: Change) -> Student | User | None:
    """Return the record of a change, its gaps filled; None where it is sent as it is."""
    gaps = change.gaps
    if gaps == NONE:
        return None
    record = change.record
    assert isinstance(record, Student | User | Roleless)
    try:
        known = await session.get_user(change.sourced_id)
    except NotFoundError:
        if isinstance(record, Roleless):
            raise RecordError("roles", "are in no file, and TimeBack knows nobody of it") from None
        return None
    if isinstance(record, Roleless):
        record = _from_server(record, known, gaps)
    elif gaps.kind and _is_student(known) != isinstance(record, Student):
        reason = "tells nobody's kind: the primary role is missing, and TimeBack has another"
        raise RecordError("roles", reason)
    values: dict[str, Any] = {}
    if gaps.birth and record.demographics is UNSET and known.demographics:
        values["demographics"] = demographics_of(known.demographics)
    if gaps.org and known.primary_org:
        org = known.primary_org.sourced_id
        if org and org not in {ended for _, ended in gaps.ended}:
            values["primary_org"] = OrgRef(org)
    if gaps.roles and isinstance(record, User) and change.kind == "user":
        values["roles"] = _merged(record, known, gaps)
    return structs.replace(record, **values)


def _is_student(known: UserRecord) -> bool:
    """Whether somebody is a student to TimeBack; who has no roles there can be nothing else."""
    roles = known.roles or ()
    primary = [role for role in roles if role.role_type == "primary"]
    return not roles or any(role.role == "student" for role in primary or roles)


def _from_server(record: Roleless, known: UserRecord, gaps: Gaps) -> Student | User:
    """Return somebody as the student or the user that TimeBack has."""
    values = {name: value for name, value in structs.asdict(record).items() if value is not UNSET}
    org = known.primary_org
    if org and org.sourced_id:
        values = {"primary_org": OrgRef(org.sourced_id), **values}
    if _is_student(known):
        if "primary_org" not in values:
            raise RecordError("primaryOrg", "is in no file, and TimeBack has none")
        grades, username = known.grades or [], known.username or None
        return Student(**{"grades": grades, "username": username, **values})
    roles = [role.as_input() for role in known.roles or ()]
    kept = [role for role in roles if (role.role, role.org.sourced_id) not in gaps.ended]
    if not kept and record.status != "tobedeleted":
        raise RecordError("roles", "have all ended; send the new one with them, or tobedeleted")
    return User(**values, roles=kept or roles)


def _merged(record: User, known: UserRecord, gaps: Gaps) -> list[Role]:
    """Return the roles of the files, and those at the server that the files do not speak of."""
    told = {(role.role, role.org.sourced_id) for role in record.roles} | set(gaps.ended)
    others = [role.as_input() for role in known.roles or ()]
    kept = [role for role in others if (role.role, role.org.sourced_id) not in told]
    return sorted([*record.roles, *kept], key=lambda role: role.role_type != "primary")
