"""Which of a person's roles count on a day: `beginDate` is its first day, `endDate` is past it.

Roles come from files, or from TimeBack, which sends dates as text, some of them with a time.

Source: OneRoster 1.2 (roles: beginDate is inclusive, endDate exclusive).
"""

import datetime
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar

from ...models import Role, UserRecord
from ...models.received import RoleRecord, day_of

__all__ = ["begins_later", "counting", "is_current", "is_student", "learns", "past"]

AnyRole = Role | RoleRecord
R = TypeVar("R", Role, RoleRecord)


def begins_later(role: AnyRole, today: datetime.date) -> bool:
    """Whether a role has not begun."""
    begin = _day(role.begin_date)
    return begin is not None and begin > today


def is_current(role: AnyRole, today: datetime.date) -> bool:
    """Whether a role has begun and has not ended."""
    return not (_has_ended(role, today) or begins_later(role, today))


def counting(roles: Sequence[R], today: datetime.date) -> Sequence[R]:
    """Return the roles that decide what a person is, in their order."""
    # Three cases:
    #   some are current  -> those
    #   some will begin   -> those: in summer, last year's have ended, and next year's are known
    #   all have ended    -> all: that the person has left is not ours to say
    current = [role for role in roles if is_current(role, today)]
    return current or [role for role in roles if not _has_ended(role, today)] or roles


def is_student(roles: Sequence[AnyRole]) -> bool:
    """Whether roles make a student; the primary ones decide, if there are any."""
    primary = [role for role in roles if role.role_type == "primary"]
    return any(role.role == "student" for role in primary or roles)


def learns(person: UserRecord, today: datetime.date) -> bool:
    """Whether somebody is a student at TimeBack, where only students can have no roles.

    Raises:
        RecordError: The roles have an unknown form.
    """
    person.check_form("roles")
    return not person.roles or is_student(counting(person.roles, today))


def past(roles: Sequence[Role], today: datetime.date) -> list[tuple[str, str]]:
    """Return role and org of the roles that have ended and are not held anew."""
    anew = {_key(role) for role in roles if not _has_ended(role, today)}
    return [_key(role) for role in roles if _has_ended(role, today) and _key(role) not in anew]


def _key(role: Role) -> tuple[str, str]:
    return role.role, role.org.sourced_id


def _has_ended(role: AnyRole, today: datetime.date) -> bool:
    end = _day(role.end_date)
    return end is not None and end <= today


def _day(value: object) -> datetime.date | None:
    if isinstance(value, str):
        with suppress(ValueError):
            return datetime.date.fromisoformat(day_of(value))
    return value if isinstance(value, datetime.date) else None
