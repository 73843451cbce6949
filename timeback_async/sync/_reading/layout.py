"""Find out what each file holds; a layout also says which of its columns is which field.

OneRoster's own names are built in, with the misspellings of real exports. Everything else is a
layout: a TOML file with one table for each data file. The layouts of Microsoft's School Data Sync
are part of the package; users write their own.

    [students]                      # students.csv, in any case
    target = "users"                # the file of OneRoster that it corresponds to
    [students.columns]
    "Student ID" = "sourcedId"      # source header = field
    "State" = "status"
    "Born" = "birthDate"
    "Locker" = ""                   # not read
    [students.constants]
    role = "student"
    [students.values.status]
    "Enrolled" = "active"
    "Left" = "tobedeleted"
    [students.dates]
    birthDate = "%m/%d/%Y"

A column that goes by OneRoster's own name is read without being named, and noted; so `givenName`
needs no line above, but `status` cannot be forgotten either.

Source: OneRoster 1.1 and 1.2.1 CSV bindings (columns and their order).
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path

import msgspec

from ...errors import ConfigError

__all__ = [
    "ONEROSTER",
    "TARGETS",
    "FileLayout",
    "Layout",
    "check_date_format",
    "layout_for",
    "read_layout",
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
DATES = ("birthDate", "beginDate", "endDate")
# Fields that only a layout can give: some formats have them in the same file.
MORE_FIELDS = {
    "users": ("birthDate",), "roles": ("grade",), "relationships": ("relationshipUserEmail",),
}  # fmt: skip


class FileLayout(msgspec.Struct, forbid_unknown_fields=True):
    """What one data file holds.

    Attributes:
        target: The file of OneRoster that it corresponds to.
        columns: Field by header, "" for a column that is known and not read; empty for OneRoster's
            own names.
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
        _check(f"{name}: {file}", each)
    _check_case(name, "tables", layout)
    return {file.lower(): each for file, each in layout.items()}


def _check(where: str, file: FileLayout) -> None:
    """Refuse a table that says something impossible, or something that would have no effect."""
    if file.target not in TARGETS:
        raise ConfigError(f"{where}.target: must be one of {', '.join(TARGETS)}")
    known = {*TARGETS[file.target], *MORE_FIELDS.get(file.target, ())}
    columns = {field for field in file.columns.values() if field}
    for field in (*columns, *file.constants, *file.values, *file.dates):
        if field not in known:
            raise ConfigError(f"{where}: {field!r} is not a field of {file.target}")
    for field, form in file.dates.items():
        if field not in DATES:
            raise ConfigError(f"{where}.dates: {field!r} is not one of {', '.join(DATES)}")
        check_date_format(f"{where}.dates.{field}", form)
    _check_case(f"{where}.columns", "columns", file.columns)
    for field in file.constants:
        if field in columns:
            raise ConfigError(f"{where}.constants: {field!r} has a column, too; remove one of both")
    for field in file.values:
        if field in file.constants:
            raise ConfigError(
                f"{where}.values: {field!r} is a constant; write what it means as the constant"
            )
        _check_column(f"{where}.values", field, file)
    for field in file.dates:
        if field not in file.constants:
            _check_column(f"{where}.dates", field, file)


def _check_column(where: str, field: str, file: FileLayout) -> None:
    if file.columns and field not in file.columns.values():
        raise ConfigError(f"{where}: no column gives {field!r}; name its column below columns")


def _check_case(where: str, what: str, names: Iterable[str]) -> None:
    """Refuse names that are one as soon as case does not matter."""
    seen: dict[str, str] = {}
    for name in names:
        if seen.setdefault(name.lower(), name) != name:
            raise ConfigError(f"{where}: two {what} have one name: {name}; remove one of both")


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
    lower = {file: {name.lower() for name in names} for file, names in headers.items()}
    users, roles = lower.get("users", set()), lower.get("roles", set())
    if any("sis id" in lower.get(file, ()) for file in ("student", "teacher")):
        return _shipped("sds-v1")
    # Roles of OneRoster have an id and a type; of Microsoft's only some have columns of their own.
    is_of_microsoft = "usersourcedid" in roles and not {"sourcedid", "roletype"} & roles
    if {"isprimary", "sessionsourcedid"} & roles or (
        is_of_microsoft and "enableduser" not in users
    ):
        return _shipped("sds-v2-1")
    if "grade" in users and "status" not in users and "enableduser" not in users:
        return _shipped("sds-v2")
    if "users" not in headers and "sis id" in lower.get("user", ()):
        return _shipped("sds-v1")  # parents and guardians alone
    return ONEROSTER


def _shipped(name: str) -> Layout:
    text = resources.files(__package__).joinpath("layouts", f"{name}.toml").read_text("utf-8")
    return _parsed(text, name)
