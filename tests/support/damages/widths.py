"""Damages of the width of rows, and of the ends of lines."""

import re

from tests.support.damages.case import Case
from tests.support.damages.catalogue import ROW, TEXT, Draw, cells_of, damage, rows_of
from tests.support.damages.files import Line, Sheet, Verbatim

DATA = ("users", "roles", "demographics", "relationships")
NAMES = ("givenName", "familyName")


@damage(TEXT)
def rows_stuck_together(case: Case, draw: Draw) -> bool:
    """The line end between two rows is lost (two exports joined by `cat`)."""
    sheets = [sheet for sheet in case.of(*DATA) if len(sheet.rows()) > 1]
    if not sheets:
        return False
    sheet = draw.choice(sheets)
    at = draw.randrange(len(sheet.lines) - 1)
    for line in sheet.lines[at : at + 2]:
        case.harm_line(sheet, line)
    sheet.lines[at].end = draw.choice(("", "", " ", sheet.delimiter))
    return True


@damage(TEXT)
def mixed_line_ends(case: Case, draw: Draw) -> bool:
    """Line ends of two systems in one file, after an edit by hand."""
    for sheet in case.of(*DATA):
        before = ""
        for line in sheet.lines:
            ends: tuple[str, ...] = ("\r\n", "\n", "\n", "\r")
            if before == "\r" and not sheet.text_of(line):
                ends = ("\r",)  # or it would be the end of the line before
            before = line.end = draw.choice(ends)
    return True


@damage(TEXT)
def doubled_line_ends(case: Case, draw: Draw) -> bool:
    r"""`\r\r\n` at each end: written in text mode twice on Windows (python csv, newline="")."""
    for sheet in case.sheets.values():
        sheet.end = draw.choice(("\r\r\n", "\r\n\r\n"))
    return True


@damage(ROW)
def excel_blocks(case: Case, draw: Draw) -> bool:
    """Excel writes 16 rows at once, without the cells that are blank in all (Stata's FAQ)."""
    for sheet in case.of(*DATA, "orgs"):
        rows = sheet.rows()
        for start in range(0, len(rows), 16):
            block = rows[start : start + 16]
            width = max(_filled(line) for line in block)
            for line in block:
                del line.cells[width:]
        sheet.has_last_end = True  # or the last row could be one that was cut off
    return True


@damage(ROW)
def trailing_blanks_trimmed(case: Case, draw: Draw) -> bool:
    """Every row ends with its last filled cell (dathere/qsv#2613)."""
    for sheet in case.of("users"):
        for line in sheet.rows():
            del line.cells[_filled(line) :]
        sheet.has_last_end = True
    return True


def _filled(line: Line) -> int:
    return max((n + 1 for n, cell in enumerate(line.cells) if cell), default=0)


@damage(ROW)
def surplus_blanks_everywhere(case: Case, draw: Draw) -> bool:
    """Every row, or the header too, ends in blank cells too many (PowerSchool AutoSend)."""
    extra = [""] * draw.randint(1, 5)
    with_head = draw.random() < 0.5
    for sheet in case.of("users", "roles", "demographics"):
        for line in (sheet.head, *sheet.rows()) if with_head else sheet.rows():
            line.cells += extra
    return True


@damage(ROW)
def surplus_blanks_somewhere(case: Case, draw: Draw) -> bool:
    """Some rows end in blank cells too many (dathere/qsv#2613)."""
    for _, line in (chosen := rows_of(case, draw, *DATA, most=5)):
        line.cells += [""] * draw.randint(1, 3)
    return bool(chosen)


@damage(ROW)
def surplus_in_header_alone(case: Case, draw: Draw) -> bool:
    """The header ends in commas that no row has."""
    for sheet in case.of("users"):
        sheet.head.cells += [""] * draw.randint(1, 4)
    return True


@damage(ROW)
def surplus_text(case: Case, draw: Draw) -> bool:
    """A remark in a cell behind the last column."""
    for sheet, line in (chosen := rows_of(case, draw, *DATA, most=2)):
        line.cells += ["" for _ in sheet.fields[len(line.cells) :]] + ["see office"]
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW, is_alone=True)
def cell_inserted(case: Case, draw: Draw) -> bool:
    """A comma too many in the middle: what follows stands one column too far right."""
    for sheet, line in (chosen := rows_of(case, draw, "users", "roles", most=3)):
        before, at = list(line.cells), draw.randrange(_filled(line))
        line.cells.insert(at, draw.choice(("", "", "x")))
        if _may_be_another(sheet, line):
            line.cells = before
            continue
        case.orgs |= set(line.cells)
        if draw.random() < 0.5 and not line.cells[-1] and _is_odd(sheet, line.cells):
            line.cells.pop()  # and as many cells as before
        case.harm_line(sheet, line)
    return bool(chosen)


def _may_be_another(sheet: Sheet, line: Line) -> bool:
    """Whether what stands in place of the id may be an id, so that nobody can notice."""
    place = sheet.place("sourcedId") or 0
    own = line.cells[place] if 0 < place < len(line.cells) else ""
    return re.fullmatch(r"[\w.@/-]+", own) is not None and own not in line.owners


def _is_odd(sheet: Sheet, cells: list[str]) -> bool:
    """Whether anybody who reads a row sees that its cells stand in other columns."""
    row = dict(zip(sheet.fields, cells, strict=False))
    has_email = any("@" in row.get(field, "") for field in (*NAMES, "middleName", "phone", "sms"))
    return (
        row.get("enabledUser", "true") not in ("true", "false")
        or not row.get("role", "student").isalpha()
        or not row.get("sourcedId", "-")
        or (bool(row.get("email")) and "@" not in row["email"])
        or has_email
    )


@damage(ROW)
def cell_lost(case: Case, draw: Draw) -> bool:
    """A comma lost in the middle: what follows stands one column too far left."""
    for sheet, line in (chosen := rows_of(case, draw, "users", "roles", most=3)):
        before = list(line.cells)
        del line.cells[draw.randrange(_filled(line))]
        if _may_be_another(sheet, line):
            line.cells = before
            continue
        case.orgs |= set(line.cells)
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(TEXT, is_alone=True)
def comma_in_name(case: Case, draw: Draw) -> bool:
    """`Byron, Jr.` without quotes: a cell in two (Edlio: troubleshooting CSVs)."""
    for sheet, line, place, _ in (chosen := cells_of(case, draw, *NAMES, most=2)):
        cell = re.sub(r'[",;|\t]', "", line.cells[place])
        line.cells[place] = Verbatim(f"{cell}{sheet.delimiter} Jr.")
        line.text = sheet.text_of(line)
        case.harm_line(sheet, line)
    return bool(chosen)
