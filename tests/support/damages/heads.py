"""Damages of delimiters and headers, and of what stands before them."""

from tests.support.damages.case import Case
from tests.support.damages.catalogue import TEXT, Draw, damage
from tests.support.damages.files import Sheet, noise

DATA = ("users", "roles", "demographics", "relationships", "orgs")
PEOPLE = ("users", "roles")


# -- encodings


# -- delimiters


@damage(TEXT)
def delimiter_semicolon(case: Case, draw: Draw) -> bool:
    """Semicolons or tabs between the cells, as Excel writes them in much of Europe."""
    mark = draw.choice(";\t")
    for sheet in case.of(*DATA):
        sheet.delimiter = mark
    return True


@damage(TEXT)
def delimiter_pipe(case: Case, draw: Draw) -> bool:
    """Pipes or carets between the cells (vscode_rainbow_csv#108)."""
    mark = draw.choice("|^~")
    for sheet in case.of(*DATA):
        sheet.delimiter = mark
    case.is_refusable = True
    return True


@damage(TEXT)
def delimiter_of_one_row(case: Case, draw: Draw) -> bool:
    """Rows with another delimiter than the header: two exports joined."""
    sheet = draw.choice(case.of(*PEOPLE))
    rows = sheet.rows()
    if not rows:
        return False
    other = draw.choice([mark for mark in ";\t|," if mark != sheet.delimiter])
    for line in draw.sample(rows, draw.randint(1, min(3, len(rows)))):
        line.text = other.join(cell.replace(other, " ") for cell in line.cells)
        case.harm_line(sheet, line)
    return True


@damage(TEXT)
def delimiter_of_the_header(case: Case, draw: Draw) -> bool:
    """The header has another delimiter than all rows."""
    for sheet in case.of("users"):
        sheet.head.text = draw.choice(";\t|").join(sheet.head.cells)
    case.harm_all()
    case.is_refusable = True
    return True


# -- before the header


def _before(case: Case, *texts: str, is_refusable: bool = False) -> bool:
    for sheet in case.of("users", "roles", "demographics"):
        sheet.preface += [noise(text) for text in texts]
    case.is_refusable |= is_refusable
    return True


@damage(TEXT)
def sep_line(case: Case, draw: Draw) -> bool:
    """`sep=,` before the header, for Excel (PowerShell#7776)."""
    for sheet in case.of("users", "roles", "demographics"):
        sheet.preface.append(
            noise(draw.choice(("sep={}", "SEP={}", '"sep={}"')).format(sheet.delimiter))
        )
    return True


@damage(TEXT)
def blank_before_header(case: Case, draw: Draw) -> bool:
    """Blank lines, or lines of commas, before the header (vscode_rainbow_csv#108)."""
    return _before(case, *[draw.choice(("", ",,,,", "  ", '""'))] * draw.randint(1, 3))


@damage(TEXT)
def title_before_header(case: Case, draw: Draw) -> bool:
    """The title of a report before the header."""
    title = draw.choice(
        ("Student export 2026-01-05", "Students,,,,", "#version 1.1", '"School: Oak, 2026"')
    )
    return _before(case, title, *[""] * draw.randint(0, 1), is_refusable=True)


# -- headers


@damage(TEXT)
def header_in_another_case(case: Case, draw: Draw) -> bool:
    """`SOURCEDID`, `sourcedid` (PostgreSQL, Oracle)."""
    how = draw.choice((str.upper, str.lower))
    for sheet in case.of(*DATA):
        sheet.head.cells = [how(name) for name in sheet.head.cells]
    return True


@damage(TEXT)
def header_by_an_alias(case: Case, draw: Draw) -> bool:
    """`sourceId`, `agents`, `grade`: names of 1.0, of REST, or misspelt (O365-EDU-Tools#41)."""
    if case.kind.startswith("SDS"):
        return False
    alias = {
        "sourcedId": "sourceId",
        "agentSourcedIds": "agents",
        "grades": "grade",
        "birthDate": "birthdate",
        "orgSourcedIds": "orgs",
        "userIds": "userId",
        "dateLastModified": "dataLastModified",
    }
    for sheet in case.of("users", "demographics"):
        sheet.head.cells = [
            alias.get(name, name) if draw.random() < 0.6 else name for name in sheet.head.cells
        ]
    return True


@damage(TEXT)
def header_blanks(case: Case, draw: Draw) -> bool:
    """Blanks around the names of columns."""
    pad = draw.choice((" ", "  ", "\u00a0"))
    for sheet in case.of(*DATA):
        sheet.head.cells = [pad + name + pad for name in sheet.head.cells]
    return True


@damage(TEXT)
def header_invisible(case: Case, draw: Draw) -> bool:
    """A zero-width letter in the name of a column."""
    letter = draw.choice("\u200b\u00ad\u2060\ufeff\u200e")
    for sheet in case.of("users"):
        at = draw.randrange(len(sheet.fields))
        sheet.head.cells[at] += letter
        _column_may_go(case, sheet, at)
    return True


@damage(TEXT)
def header_misspelt(case: Case, draw: Draw) -> bool:
    """A column by a name that is nobody's: a typing error, or of another program."""
    sheet = draw.choice(case.of(*PEOPLE))
    at = draw.randrange(len(sheet.fields))
    name = sheet.head.cells[at]
    sheet.head.cells[at] = draw.choice((name[:3] + "x" + name[4:], "x_" + name, name + "_x", ""))
    _column_may_go(case, sheet, at)
    if at == len(sheet.fields) - 1 and not sheet.head.cells[at]:
        case.harm_all()  # a last cell that has no column may be of another one, too
    return True


def _column_may_go(case: Case, sheet: Sheet, at: int) -> None:
    for line in sheet.lines:
        if line.owners:
            case.harm_cell(sheet, line, sheet.fields[at])
    case.is_refusable = True


def _has_texts(case: Case) -> bool:
    """Whether some rows are texts already, so that no column can be added to them."""
    return any(len(sheet.rows()) < len(sheet.lines) for sheet in case.of(*PEOPLE))


@damage(TEXT)
def header_twice(case: Case, draw: Draw) -> bool:
    """Two columns of one name: which one is it?"""
    if _has_texts(case):
        return False
    sheet = draw.choice(case.of(*PEOPLE))
    at = draw.randrange(len(sheet.fields))
    sheet.head.cells.append(sheet.head.cells[at])
    for line in sheet.rows():
        line.cells.append(draw.choice(("", "x")))
    _column_may_go(case, sheet, at)
    return True


@damage(TEXT)
def header_lost(case: Case, draw: Draw) -> bool:
    """No header at all: the first row stands in its place."""
    sheet = draw.choice(case.of("users"))
    if not sheet.lines:
        return False
    sheet.head = sheet.lines.pop(0)
    for line in (sheet.head, *sheet.lines):
        case.harm_line(sheet, line)
    case.harm_all()
    case.is_refusable = True
    return True


@damage(TEXT)
def header_numbered(case: Case, draw: Draw) -> bool:
    """A first column of row numbers without a name, or `Unnamed: 0` (pandas)."""
    if _has_texts(case):
        return False
    name = draw.choice(("", "Unnamed: 0", "#", "Row"))
    for sheet in case.of("users", "roles"):
        sheet.head.cells.insert(0, name)
        sheet.fields.insert(0, "")
        for number, line in enumerate(sheet.rows()):
            line.cells.insert(0, str(number))
    return True


@damage(TEXT)
def columns_of_blanks(case: Case, draw: Draw) -> bool:
    """Blank columns before or between the others, header and all."""
    if _has_texts(case):
        return False
    for sheet in case.of("users", "roles"):
        at = draw.choice((0, 0, len(sheet.fields) // 2))
        sheet.fields.insert(at, "")
        for line in (sheet.head, *sheet.rows()):
            line.cells.insert(at, "")
    return True


@damage(TEXT)
def column_unknown(case: Case, draw: Draw) -> bool:
    """A column that only its vendor knows (taoimport)."""
    if _has_texts(case):
        return False
    for sheet in case.of("users"):
        at = draw.randint(0, len(sheet.fields))
        sheet.fields.insert(at, "")
        sheet.head.cells.insert(at, draw.choice(("ext_vendor_id", "Homeroom", "metadata.bus")))
        for line in sheet.rows():
            line.cells.insert(at, draw.choice(("", "7", "x, y")))
    return True


@damage(TEXT)
def column_not_exported(case: Case, draw: Draw) -> bool:
    """An optional column is not in the file: it says nothing of it."""
    if _has_texts(case):
        return False
    sheet = draw.choice(case.of("users"))
    optional = ("email", "phone", "middleName", "identifier", "sms", "password", "userIds")
    heads = dict(zip(sheet.fields, sheet.head.cells, strict=False))
    free = [f for f in optional if f in heads and sheet.head.cells.count(heads[f]) == 1]
    if not free:
        return False
    field = draw.choice(free)
    if field == "email" and case.kind == "SDS v1":
        return False  # the key of its contacts
    at = sheet.fields.index(field)
    del sheet.fields[at]
    for line in (sheet.head, *sheet.rows()):
        del line.cells[at : at + 1]
        for own in line.owners:
            case.truth[own].pop(field, None)
    return True


@damage(TEXT)
def columns_swapped(case: Case, draw: Draw) -> bool:
    """The names of two columns are swapped, so that none of their values fits."""
    for sheet in case.of("users"):
        pairs = [
            pair
            for pair in (("enabledUser", "role"), ("status", "enabledUser"), ("role", "grades"))
            if set(pair) <= set(sheet.fields)
        ]
        if pairs:
            one, two = map(sheet.fields.index, draw.choice(pairs))
            cells = sheet.head.cells
            cells[one], cells[two] = cells[two], cells[one]
            case.harm_all()
            case.is_refusable = True
            return True
    return False
