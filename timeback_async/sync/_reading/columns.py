"""Find out which column of a file is which field.

Source: OneRoster 1.1 and 1.2.1 CSV bindings (columns); misspellings of real exports.
"""

from collections.abc import Container, Iterable, Sequence
from difflib import get_close_matches

import msgspec

from ...errors import ConfigError
from .files import shown
from .layout import TARGETS, FileLayout

__all__ = ["IN_PLACE_OF", "NEEDED", "UNREAD", "Columns", "columns_of", "standard_columns"]

# The columns of users.csv that only one version has.
ONLY_IN = {
    "1.1": ("orgSourcedIds", "role"),
    "1.2": (
        "userMasterIdentifier", "preferredGivenName", "preferredMiddleName",
        "preferredFamilyName", "primaryOrgSourcedId", "pronouns",
    ),
}  # fmt: skip
OPTIONAL = ("resourceSourcedIds",)  # only in 1.2.0
# Fields that are never read: of demographics only the birth date is.
UNREAD = {"password", "resourceSourcedIds", *TARGETS["demographics"]} - {
    "sourcedId", "status", "dateLastModified", "birthDate",
}  # fmt: skip
NEEDED = {
    "users": ("sourcedId", "givenName", "familyName"),
    "orgs": ("sourcedId",),
    "roles": ("userSourcedId", "role", "orgSourcedId"),
    "userprofiles": ("userSourcedId", "username"),
    "demographics": ("sourcedId",),
    "relationships": ("userSourcedId", "relationshipUserSourcedId"),
}
# A field that does what another one does.
IN_PLACE_OF = {"relationshipUserEmail": "relationshipUserSourcedId"}
# Lower-case names seen in the wild (OneRoster 1.0, REST names, misspellings).
ALIASES = {
    "agents": "agentSourcedIds", "agentsourceids": "agentSourcedIds", "birthdate": "birthDate",
    "datalastmodified": "dateLastModified", "grade": "grades", "orgs": "orgSourcedIds",
    "orgsourcedid": "orgSourcedIds", "prefferedfamilyname": "preferredFamilyName",
    "prefferedgivenname": "preferredGivenName", "prefferedmiddlename": "preferredMiddleName",
    "preferredfirstname": "preferredGivenName", "preferredlastname": "preferredFamilyName",
    "primaryorg": "primaryOrgSourcedId", "sourceid": "sourcedId", "userid": "userIds",
    "usersourcedid": "sourcedId",
}  # fmt: skip
MAX_HEADERS_SHOWN = 20
ALIKE = 0.8  # how much of two names has to be the same

# Places by field; findings; and for each field whose column of the map is not there, what to say.
_Found = tuple[dict[str, int], list[tuple[str, str]], dict[str, str]]


class Columns(msgspec.Struct):
    """Where the fields of one file are.

    Attributes:
        places: Index of the cell, from 0, by field.
        notes: Findings about the header: code and detail.
        missing: Required fields without a column. For each, what is known of it besides, or "".
    """

    places: dict[str, int]
    notes: list[tuple[str, str]]
    missing: dict[str, str]


def standard_columns(target: str, version: str) -> list[str]:
    """Return the columns that a file must have in a version of the standard."""
    other = ONLY_IN["1.2" if version.startswith("1.1") else "1.1"]
    left_out = (*OPTIONAL, *(other if target == "users" else ()))
    return [field for field in TARGETS[target] if field not in left_out]


def columns_of(file: FileLayout, header: Sequence[str]) -> Columns:
    """Return where the fields are in a file with this header.

    Raises:
        ConfigError: Two columns are the same field, or the layout says something of a field that
            has no column, or gives it a constant although it has one.
    """
    # Two cases:
    #   the layout names its columns -> those, in any case; then OneRoster's names for what is left
    #   OneRoster's own names        -> exact names first, then other spellings and aliases
    read = _named if file.columns else _of_oneroster
    places, notes, absent = read(file, header)
    given = {*places, *file.constants}
    given |= {IN_PLACE_OF[field] for field in places if field in IN_PLACE_OF}
    needed = NEEDED[file.target]
    missing = {field: absent.get(field, "") for field in needed if field not in given}
    return Columns(places, notes, missing)


def _named(file: FileLayout, header: Sequence[str]) -> _Found:
    wanted = {name.lower(): field for name, field in file.columns.items()}
    places: dict[str, int] = {}
    others = []
    for place, name in enumerate(header):
        field = wanted.get(name.lower())
        if field is None:
            others.append((place, name))
        elif field:
            _put(places, field, place, name)
    notes, absent = [], {}
    there = {name.lower() for name in header}
    is_known = bool(places) or any(_standard(name, file.target) for name in header)
    has = _listed(header) if is_known else "is its first line the names of its columns?"
    for name, field in file.columns.items():
        if field and name.lower() not in there:
            absent[field] = f'column "{shown(name)}" of the map is not there; {has}'
            notes.append(("column-absent", f"{shown(name)}; {has}"))
    notes += _by_own_names(file, places, others)
    return places, notes, absent


def _by_own_names(
    file: FileLayout, places: dict[str, int], others: Iterable[tuple[int, str]]
) -> list[tuple[str, str]]:
    """Read columns that a layout does not name by OneRoster's names; return the findings."""
    # A column of people's status that nobody reads would turn those who left into pupils. So what
    # a column says of a field counts, unless the layout says that field otherwise:
    #   not a name of OneRoster        -> not read
    #   a field that has its column    -> not read
    #   a field that has a constant    -> not read; the file may mean something else
    #   another field                  -> read
    notes = []
    read: set[str] = set()
    exact_first = sorted(others, key=lambda each: each[1] not in TARGETS[file.target])
    for place, name in exact_first:
        field = _standard(name, file.target)
        if field in read and name == field:
            _put(places, field, place, name)  # two columns of one name: raises
        if field in UNREAD or not name or name.startswith("metadata."):
            continue
        if field is None or field in places:
            notes.append(_unread(name, file.target, places))
        elif field in file.constants:
            notes.append(("column-overruled", _shown(name)))
        else:
            places[field] = place
            read.add(field)
            notes.append(("column-unnamed", f"{_shown(name)} is read as {field}"))
    return notes


def _of_oneroster(file: FileLayout, header: Sequence[str]) -> _Found:
    target = file.target
    places: dict[str, int] = {}
    notes: list[tuple[str, str]] = []
    later = []
    for place, name in enumerate(header):
        if name in TARGETS[target]:
            _put(places, name, place, name)
        else:
            later.append((place, name))
    strange = []
    for place, name in later:
        field = _standard(name, target)
        if field is not None and field not in places:
            places[field] = place
            notes.append(("header-name", f"{_shown(name)} is read as {field}"))
        elif name and not name.startswith("metadata."):
            strange.append(name)
    notes += [_unread(name, target, places) for name in strange]
    order = [field for field in TARGETS[target] if field in places]
    if sorted(order, key=lambda field: places[field]) != order:
        notes.append(("header-order", ""))
    for field in file.constants:
        if field in places:
            raise ConfigError(f"constants.{field} of the map: there is a column, too; remove one")
    for field in (*file.values, *(file.dates.keys() - file.constants.keys())):
        if field not in places:
            table = "values" if field in file.values else "dates"
            raise ConfigError(
                f"{table}.{field} of the map: there is no such column; {_listed(header)}"
            )
    return places, notes, {}


def _unread(name: str, target: str, places: Container[str]) -> tuple[str, str]:
    """Return the finding of a column that is not read: perhaps its name is a typing error."""
    absent = [
        field.lower() for field in TARGETS[target] if field not in {*UNREAD} and field not in places
    ]
    like = get_close_matches(name.lower(), absent, 1, ALIKE)
    return "column-misspelt" if like else "column-unknown", _shown(name)


def _standard(name: str, target: str) -> str | None:
    """Return OneRoster's name of a field, or None if the header is not one of its names."""
    lower = name.lower()
    names = {field.lower(): field for field in TARGETS[target]}
    return names.get(lower) or names.get(ALIASES.get(lower, "").lower())


def _put(places: dict[str, int], field: str, place: int, name: str) -> None:
    if field in places:
        raise ConfigError(f"two columns are {field}, the second is {_shown(name)!r}; remove one")
    places[field] = place


def _listed(header: Sequence[str]) -> str:
    names = [_shown(name) for name in header if name]
    more = len(names) - MAX_HEADERS_SHOWN
    and_more = f" and {more} more" if more > 0 else ""
    return f"the file has {', '.join(names[:MAX_HEADERS_SHOWN])}{and_more}"


def _shown(name: str) -> str:
    """Return a header safe to print: in a file without one, a person's row is in its place."""
    is_safe = name.isprintable() and "@" not in name and not any(map(str.isdigit, name))
    return name[:40] if is_safe else "…"
