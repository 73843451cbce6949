"""Which of a person's roles count on a day: `beginDate` is its first day, `endDate` is past it.

Source: OneRoster 1.2 (roles: beginDate is inclusive, endDate exclusive).
"""

import datetime
from collections.abc import Sequence

from ...models import Role
from ...models.received import RoleRecord

__all__ = ["begins_later", "counting", "is_current", "is_student", "past"]


def begins_later(role: Role, today: datetime.date) -> bool:
    """Whether a role has not begun."""
    return isinstance(role.begin_date, datetime.date) and role.begin_date > today


def is_current(role: Role, today: datetime.date) -> bool:
    """Whether a role has begun and has not ended."""
    return not (_has_ended(role, today) or begins_later(role, today))


def counting(roles: Sequence[Role], today: datetime.date) -> Sequence[Role]:
    """Return the roles that decide what a person is, in their order."""
    # Three cases:
    #   some are current  -> those
    #   some will begin   -> those: in summer, last year's have ended, and next year's are known
    #   all have ended    -> all: that the person has left is not ours to say
    current = [role for role in roles if is_current(role, today)]
    return current or [role for role in roles if not _has_ended(role, today)] or roles


def is_student(roles: Sequence[Role | RoleRecord]) -> bool:
    """Whether roles make a student; the primary ones decide, if there are any."""
    primary = [role for role in roles if role.role_type == "primary"]
    return any(role.role == "student" for role in primary or roles)


def past(roles: Sequence[Role], today: datetime.date) -> list[tuple[str, str]]:
    """Return role and org of the roles that have ended and are not held anew."""
    anew = {_key(role) for role in roles if not _has_ended(role, today)}
    return [_key(role) for role in roles if _has_ended(role, today) and _key(role) not in anew]


def _key(role: Role) -> tuple[str, str]:
    return role.role, role.org.sourced_id


def _has_ended(role: Role, today: datetime.date) -> bool:
    return isinstance(role.end_date, datetime.date) and role.end_date <= today
