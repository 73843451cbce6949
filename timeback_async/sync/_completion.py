"""Complete what a delta leaves out from what the server holds.

A delta, and a set without its demographics, leave out what has not changed; and what is left out
of a record may be deleted by sending it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any

import msgspec
from msgspec import UNSET

from .._session import TimebackSession
from ..errors import NotFoundError, RecordError
from ..models import AgentLink, Role, Student, User, UserRecord
from ..models.received import demographics_of
from ._plan import Change, Plan

__all__ = ["Completer"]

TOGETHER = 64


class Completer:
    """Looks up at the server what the files do not say.

    Attributes:
        is_needed: Whether the files leave anything out.
    """

    def __init__(self, session: TimebackSession, plan: Plan) -> None:
        self._session, self._roster = session, plan.roster
        self._is_delta = any(source.is_delta for source in plan.roster.sources.values())
        was_born = self._is_delta or plan.state.meta("births")
        self._lacks_births = bool(was_born) and not plan.roster.has_all_births
        self._lacks_roles = plan.roster.has_delta_roles
        self.is_needed = self._lacks_births or self._lacks_roles

    async def completed(self, changes: Iterator[Change]) -> AsyncIterator[tuple[Change, Any]]:
        """Yield each change, completed, with what to send: its record, or why there is none.

        Raises:
            TimebackError: The server could not be asked.
        """
        while batch := list(islice(changes, TOGETHER)):
            records = await asyncio.gather(*map(self._one, batch), return_exceptions=True)
            for change, record in zip(batch, records, strict=True):
                if isinstance(record, BaseException) and not isinstance(record, RecordError):
                    raise record
                is_whole = not isinstance(record, RecordError)
                yield (change._replace(record=record) if is_whole else change), record

    async def _one(self, change: Change) -> Any:
        record = change.record
        is_old = self._is_delta or change.action == "update"
        lacks_birth = (
            self._lacks_births
            and is_old
            and isinstance(record, Student | User)
            and record.demographics is UNSET
        )
        lacks_roles = self._lacks_roles and isinstance(record, User)
        if isinstance(record, AgentLink) or not (lacks_birth or lacks_roles):
            return record
        try:
            known = await self._session.get_user(change.sourced_id)
        except NotFoundError:
            return record
        if lacks_birth and known.demographics and isinstance(record, Student | User):
            demographics = demographics_of(known.demographics)
            record = msgspec.structs.replace(record, demographics=demographics)
        if isinstance(record, User) and lacks_roles:
            record = msgspec.structs.replace(record, roles=self._merged(record, known))
        return record

    def _merged(self, record: User, known: UserRecord) -> list[Role]:
        """Return the roles of the files, and those at the server that the files do not speak of."""
        query = """SELECT lower(role), org FROM roles
                   WHERE user = ? AND lower(status) = 'tobedeleted'"""
        org_of = self._roster.org_map
        rows = self._roster.db.execute(query, (record.sourced_id,))
        told = {(role, org_of.get(org, org)) for role, org in rows}
        told |= {(role.role.lower(), role.org.sourced_id) for role in record.roles}
        others = [role.as_input() for role in known.roles or ()]
        kept = [role for role in others if (role.role.lower(), role.org.sourced_id) not in told]
        return sorted([*record.roles, *kept], key=lambda role: role.role_type != "primary")
