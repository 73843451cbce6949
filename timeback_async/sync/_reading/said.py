"""What the other files say of people: their roles, birth dates and usernames.

Source: OneRoster 1.2 (roles, userProfiles, demographics).
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from .database import RosterDatabase
from .people import MappedRow, PeopleMapper
from .reporter import AddFinding
from .roles import RoleRow

__all__ = ["OtherFiles", "Said", "mapped"]


class Said(NamedTuple):
    """What the other files say of some people, by their ids.

    Attributes:
        roles: Rows of roles.csv that do not end a role.
        ended: Role and org of those that do.
        births: Birth dates as they are written.
        names: Usernames of userProfiles.csv.
        birth_form: Form of the birth dates.
    """

    roles: Mapping[str, list[RoleRow]]
    ended: Mapping[str, list[tuple[str, str]]]
    births: Mapping[str, str]
    names: Mapping[str, str]
    birth_form: str | None


class OtherFiles:
    """The other files, once they are read.

    Args:
        database: Holds their rows.
        birth_form: Form of the dates in demographics.csv.
        has_all_roles: Whether roles.csv holds all roles of everybody.
    """

    def __init__(
        self, database: RosterDatabase, birth_form: str | None, *, has_all_roles: bool
    ) -> None:
        self._database, self._birth_form, self._has_all_roles = database, birth_form, has_all_roles
        self._has_roles, self._has_profiles, self._has_births = map(
            database.has_rows, ("roles", "profiles", "demographics")
        )
        has_any = self._has_roles or self._has_profiles or self._has_births
        self._are_silent = has_all_roles and not has_any

    def about(self, people: Iterable[str | None]) -> Said:
        """Return what they say of some people; None stands for a row without an id."""
        if self._are_silent:
            return Said({}, {}, {}, {}, None)
        ids = msgspec.json.encode(list(people)).decode()
        database = self._database
        return Said(
            database.roles_of(ids) if self._has_roles else {},
            {} if self._has_all_roles else database.ended_roles_of(ids),
            database.birth_dates_of(ids) if self._has_births else {},
            database.usernames_of(ids) if self._has_profiles else {},
            self._birth_form,
        )


def mapped(
    mapper: PeopleMapper, row: dict[str, str], birth_form: str | None, said: Said, add: AddFinding
) -> MappedRow:
    """Return the person that a row makes with what the other files say.

    Args:
        mapper: Makes the record.
        row: Cells by field, without blank ones; the username of a profile is added.
        birth_form: Form of a birth date in the row itself, which comes first.
        said: What the other files say.
        add: Takes each finding, once.
    """
    sourced_id = row["sourcedId"]
    if sourced_id in said.names:
        row.setdefault("username", said.names[sourced_id])
    roles = said.roles.get(sourced_id, None if "role" in row else ())
    birth = said.births.get(sourced_id, ""), said.birth_form
    if "birthDate" in row:
        birth = row["birthDate"], birth_form
    return mapper.person(row, roles, *birth, add, said.ended.get(sourced_id, ()))
