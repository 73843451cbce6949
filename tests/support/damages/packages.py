"""Damages of what files there are."""

from collections.abc import Callable

from tests.support.damages.case import Case
from tests.support.damages.catalogue import CELL, FILE, Draw, cells_of, damage
from tests.support.damages.files import Sheet


def drop(case: Case, sheet: Sheet) -> None:
    del case.sheets[sheet.name]
    case.is_refusable = True


@damage(FILE, is_alone=True)
def file_missing(case: Case, draw: Draw) -> bool:
    """A file that the manifest promises is not there (Microsoft: always send the same files)."""

    def remove(sheet: Sheet) -> None:
        drop(case, sheet)
        if sheet.target == "demographics" and "manifest.csv" not in case.sheets:
            for facts in case.truth.values():  # nobody has promised that there are any
                facts.pop("birthDate", None)
        if sheet.target == "relationships":
            case.links.clear()

    return without(case, draw, remove)


@damage(FILE)
def file_of_no_bytes(case: Case, draw: Draw) -> bool:
    """A file of no bytes, or of blank lines."""
    content = draw.choice((b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"\0" * 512))

    def empty(sheet: Sheet) -> None:
        case.others[sheet.name] = content
        drop(case, sheet)

    return without(case, draw, empty)


@damage(FILE)
def file_of_something_else(case: Case, draw: Draw) -> bool:
    """A page of a login, an error, or a workbook under the name of a CSV."""
    content = draw.choice(
        (
            b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>-</body></html>",
            b'{"error": "access denied", "code": 403}\n',
            b"PK\x03\x04\x14\x00\x06\x00\x08\x00" + bytes(range(256)),
            b"\x1f\x8b\x08\x00" + bytes(range(255, 0, -1)),
            b"Access denied\n",
        )
    )

    def replace(sheet: Sheet) -> None:
        case.others[sheet.name] = content
        drop(case, sheet)

    return without(case, draw, replace)


@damage(FILE)
def file_of_a_header(case: Case, draw: Draw) -> bool:
    """A header without rows, where there should be some."""

    def strip(sheet: Sheet) -> None:
        sheet.lines.clear()
        case.is_refusable = True

    return without(case, draw, strip)


def without(case: Case, draw: Draw, change: Callable[[Sheet], None]) -> bool:
    sheets = case.of("users", "roles", "demographics", "orgs", "relationships", "manifest")
    sheet = draw.choice(sheets)
    if sheet.target == "manifest":
        pass
    elif sheet.target == "users":
        for line in sheet.lines:
            for own in line.owners:
                case.forget(own)
        case.harm_all()
    else:
        case.harm_sheet(sheet)
    change(sheet)
    return True


@damage(FILE)
def files_swapped(case: Case, draw: Draw) -> bool:
    """The content of users.csv in another file, and that of the other one in it (catalyst)."""
    others = case.of("roles", "orgs", "demographics")
    if not others or not case.of("users"):
        return False
    users, other = case.of("users")[0], draw.choice(others)
    for own in {own for line in users.lines for own in line.owners}:
        case.forget(own)
    case.harm_all()
    users.name, other.name = other.name, users.name
    users.target, other.target = other.target, users.target
    case.sheets = {sheet.name: sheet for sheet in case.sheets.values()}
    case.is_refusable = True
    return True


@damage(FILE)
def files_more(case: Case, draw: Draw) -> bool:
    """Files that nobody reads: copies, locks, notes, files of other standards."""
    head = b"sourcedId,givenName,familyName\r\ncopy-1,Eve,Copy\r\n"
    case.others |= draw.choice(
        (
            {"users (1).csv": head},
            {"Copy of users.csv": head},
            {"~$users.xlsx": b"x"},
            {".DS_Store": b"\0\1"},
            {"users.csv.bak": head},
            {"parents.csv": head, "students_old.csv": head},
            {"._users.csv": b"\0\5\x16\7"},
            {"Thumbs.db": b"x"},
            {"readme.txt": b"x"},
            {"users-2025.csv": head},
            {"results.csv": head},
        )
    )
    return True


@damage(FILE)
def file_names_in_capitals(case: Case, draw: Draw) -> bool:
    """`USERS.CSV` (catalyst: userprofiles.csv)."""
    for sheet in list(case.sheets.values()):
        sheet.name = sheet.name.upper()
        case.targets[sheet.name] = sheet.target
    case.sheets = {sheet.name: sheet for sheet in case.sheets.values()}
    return True


@damage(CELL)
def manifest_odd(case: Case, draw: Draw) -> bool:
    """A manifest whose words are in capitals, or that names an unknown version."""
    for sheet in case.of("manifest"):
        for line in sheet.rows():
            name, value = sheet.fields.index("propertyName"), sheet.fields.index("value")
            if line.cells[name] == "oneroster.version" and draw.random() < 0.3:
                line.cells[value] += ".1"
            elif draw.random() < 0.5:
                line.cells[value] = line.cells[value].upper()
        return True
    return False


@damage(CELL)
def delta_undated(case: Case, draw: Draw) -> bool:
    """Rows of a delta without status or date, which are needed there."""
    chosen = cells_of(case, draw, "dateLastModified", "status", targets=("users", "roles"))
    if not case.kind.endswith("delta"):
        return False
    for _, line, place, _ in chosen:
        line.cells[place] = ""
    return bool(chosen)
