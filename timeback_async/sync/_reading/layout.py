"""Find out what each file holds, and which of its columns is which field.

OneRoster's own names are built in, with the misspellings of real exports. Everything else is a
layout: a TOML file with one table for each data file. The layouts of Microsoft's School Data Sync
are part of the package; users write their own.

    [students]                      # students.csv, in any case
    target = "users"                # the file of OneRoster that it corresponds to
    [students.columns]
    "Student ID" = "sourcedId"      # source header = field
    [students.constants]
    role = "student"
    [students.values.status]
    "Enrolled" = "active"
    [students.dates]
    birthDate = "%m/%d/%Y"

Source: OneRoster 1.1 and 1.2.1 CSV bindings (columns and their order).
"""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path

import msgspec

from ...errors import ConfigError

__all__ = [
    "NEEDED",
    "ONEROSTER",
    "TARGETS",
    "Columns",
    "FileLayout",
    "Layout",
    "columns_of",
    "layout_for",
    "read_layout",
    "standard_columns",
]

# The files that are read, and their columns in the order of the standard.
TARGETS: dict[str, tuple[str, ...]] = {
    "users": (
        "sourcedId", "status", "dateLastModified", "enabledUser", "orgSourcedIds", "role",
        "username", "userIds", "givenName", "familyName", "middleName", "identifier", "email",
        "sms", "phone", "agentSourcedIds", "grades", "password", "userMasterIdentifier",
        "resourceSourcedIds", "preferredGivenName", "preferredMiddleName", "preferredFamilyName",
        "primaryOrgSourcedId", "pronouns",
    ),
    "orgs": (
        "sourcedId", "status", "dateLastModified", "name", "type", "identifier", "parentSourcedId",
    ),
    "roles": (
        "sourcedId", "status", "dateLastModified", "userSourcedId", "roleType", "role",
        "beginDate", "endDate", "orgSourcedId", "userProfileSourcedId",
    ),
    "userprofiles": (
        "sourcedId", "status", "dateLastModified", "userSourcedId", "profileType", "vendorId",
        "applicationId", "description", "credentialType", "username", "password",
    ),
    "demographics": (
        "sourcedId", "status", "dateLastModified", "birthDate", "sex",
        "americanIndianOrAlaskaNative", "asian", "blackOrAfricanAmerican",
        "nativeHawaiianOrOtherPacificIslander", "white", "demographicRaceTwoOrMoreRaces",
        "hispanicOrLatinoEthnicity", "countryOfBirthCode", "stateOfBirthAbbreviation",
        "cityOfBirth", "publicSchoolResidenceStatus",
    ),
    "relationships": ("userSourcedId", "relationshipUserSourcedId", "relationshipRole"),
}  # fmt: skip
# The columns of users.csv that only one version has.
ONLY_IN = {
    "1.1": ("orgSourcedIds", "role"),
    "1.2": (
        "userMasterIdentifier", "preferredGivenName", "preferredMiddleName",
        "preferredFamilyName", "primaryOrgSourcedId", "pronouns",
    ),
}  # fmt: skip
OPTIONAL = ("resourceSourcedIds",)  # only in 1.2.0
DATES = ("birthDate", "beginDate", "endDate")
# Fields that only a layout can give: some formats have them in the same file.
MORE_FIELDS = {"users": ("birthDate",), "roles": ("grade",)}
NEEDED = {
    "users": ("sourcedId", "givenName", "familyName"),
    "orgs": ("sourcedId",),
    "roles": ("userSourcedId", "role", "orgSourcedId"),
    "userprofiles": ("userSourcedId", "username"),
    "demographics": ("sourcedId",),
    "relationships": ("userSourcedId", "relationshipUserSourcedId"),
}
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


class FileLayout(msgspec.Struct, forbid_unknown_fields=True):
    """What one data file holds.

    Attributes:
        target: The file of OneRoster that it corresponds to.
        columns: Field by header; empty for OneRoster's own names.
        constants: Value by field, for fields with the same value in every row.
        values: For a field, the value that each cell text means; case does not matter.
        dates: For a field, the form of its dates, as `datetime.strptime` takes it.
    """

    target: str
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    dates: dict[str, str] = {}


Layout = dict[str, FileLayout]
ONEROSTER: Layout = {name: FileLayout(name) for name in TARGETS if name != "relationships"}


class Columns(msgspec.Struct):
    """Where the fields of one file are.

    Attributes:
        places: Index of the cell, from 0, by field.
        notes: Findings about the header: code and detail.
        missing: Required fields without a column.
    """

    places: dict[str, int]
    notes: list[tuple[str, str]]
    missing: list[str]


def read_layout(path: Path) -> Layout:
    """Return the layout in a TOML file.

    Raises:
        ConfigError: It cannot be read, or is not a layout.
    """
    name = f"layout: {path}"
    try:
        return _parsed(path.read_text(encoding="utf-8"), name)
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror}") from None


def _parsed(text: str, name: str) -> Layout:
    try:
        layout = msgspec.convert(tomllib.loads(text), Layout)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise ConfigError(f"{name}: is not a layout: {error}") from None
    for file, each in layout.items():
        if each.target not in TARGETS:
            raise ConfigError(f"{name}: {file}.target: must be one of {', '.join(TARGETS)}")
        known = {*TARGETS[each.target], *MORE_FIELDS.get(each.target, ())}
        for field in (*each.columns.values(), *each.constants, *each.values, *each.dates):
            if field not in known:
                raise ConfigError(f"{name}: {file}: {field!r} is not a field of {each.target}")
        for field, form in each.dates.items():
            if field not in DATES:
                raise ConfigError(
                    f"{name}: {file}.dates: {field!r} is not one of {', '.join(DATES)}"
                )
            check_date_format(f"{name}: {file}.dates.{field}", form)
    return {file.lower(): each for file, each in layout.items()}


def check_date_format(where: str, form: str) -> None:
    """Refuse a form of dates from which the day, the month or the year cannot be read.

    Raises:
        ConfigError: It lacks one of them, or the year has not four digits.
    """
    day = datetime(2013, 11, 25)  # noqa: DTZ001 - a date, to be written and read again
    is_whole = all(part in form for part in ("%d", "%m", "%Y"))
    try:
        is_kept = is_whole and datetime.strptime(day.strftime(form), form) == day  # noqa: DTZ007
    except ValueError:
        is_kept = False
    if not is_kept:
        raise ConfigError(f"{where}: must contain %d, %m and %Y, for example %d/%m/%Y")


def layout_for(headers: Mapping[str, Sequence[str]]) -> Layout:
    """Return the layout for files with these headers: OneRoster's, or one of Microsoft's.

    Source: Microsoft School Data Sync, CSV formats v1, v2 and v2.1.
    """
    if "SIS ID" in headers.get("student", ()) or "SIS ID" in headers.get("teacher", ()):
        return _shipped("sds-v1")
    users, roles = headers.get("users", ()), headers.get("roles", ())
    if "isPrimary" in roles or "sessionSourcedId" in roles:
        return _shipped("sds-v2-1")
    if "grade" in users and "status" not in users and "enabledUser" not in users:
        return _shipped("sds-v2")
    return ONEROSTER


def _shipped(name: str) -> Layout:
    text = resources.files(__package__).joinpath("layouts", f"{name}.toml").read_text("utf-8")
    return _parsed(text, name)


def standard_columns(target: str, version: str) -> list[str]:
    """Return the columns that a file must have in a version of the standard."""
    other = ONLY_IN["1.2" if version.startswith("1.1") else "1.1"]
    left_out = (*OPTIONAL, *(other if target == "users" else ()))
    return [field for field in TARGETS[target] if field not in left_out]


def columns_of(file: FileLayout, header: Sequence[str], target: str) -> Columns:
    """Return where the fields are in a file with this header.

    Raises:
        ConfigError: Two columns are the same field.
    """
    # Two cases:
    #   the layout names its columns -> those, in any case; the others are not read
    #   OneRoster's own names        -> exact names first, then other spellings and aliases
    places: dict[str, int] = {}
    notes: list[tuple[str, str]] = []
    if file.columns:
        wanted = {name.lower(): field for name, field in file.columns.items()}
        for place, name in enumerate(header):
            field = wanted.get(name.lower())
            if field is not None:
                _put(places, field, place, name)
        absent = wanted.keys() - {name.lower() for name in header}
        notes += [("column-absent", name) for name in file.columns if name.lower() in absent]
    else:
        standard = {name.lower(): name for name in TARGETS[target]}
        later = []
        for place, name in enumerate(header):
            if name in TARGETS[target]:
                _put(places, name, place, name)
            else:
                later.append((place, name))
        for place, name in later:
            field = standard.get(name.lower()) or ALIASES.get(name.lower())
            if field in standard.values() and field is not None and field not in places:
                places[field] = place
                notes.append(("header-name", f"{_shown(name)} is read as {field}"))
            elif name and not name.startswith("metadata."):
                notes.append(("column-unknown", _shown(name)))
        order = [field for field in TARGETS[target] if field in places]
        if sorted(order, key=lambda field: places[field]) != order:
            notes.append(("header-order", ""))
    given = {*places, *file.constants}
    return Columns(places, notes, [field for field in NEEDED[target] if field not in given])


def _put(places: dict[str, int], field: str, place: int, name: str) -> None:
    if field in places:
        raise ConfigError(f"two columns are {field}, the second is {_shown(name)!r}; remove one")
    places[field] = place


def _shown(name: str) -> str:
    """Return a header safe to print: in a file without one, a person's row is in its place."""
    return name[:40] if name.isprintable() and not any(map(str.isdigit, name)) else "…"
