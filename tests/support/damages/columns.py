"""Damages of headers that leave their rows as they are, so that names and cells do not agree."""

from tests.support.damages.case import Case
from tests.support.damages.catalogue import TEXT, Draw, damage
from tests.support.damages.files import Sheet, Verbatim, noise

PEOPLE = ("users", "roles")
OTHER_NAMES = {
    "email": ("Email", "EMAIL"), "givenName": ("GivenName", "givenname"), "grades": ("grade",),
    "agentSourcedIds": ("agents", "AgentSourcedIds"), "orgSourcedIds": ("orgs", "orgSourcedId"),
    "sourcedId": ("sourceId", "SourcedID"), "status": ("Status",), "role": ("Role",),
}  # fmt: skip


def _all_may_go(case: Case) -> bool:
    case.harm_all()
    case.is_refusable = True
    return True


@damage(TEXT, is_alone=True)
def header_name_lost(case: Case, draw: Draw) -> bool:
    """A name is gone from the header, but not the cells below it."""
    sheet = draw.choice(case.of(*PEOPLE))
    del sheet.head.cells[draw.randrange(len(sheet.head.cells))]
    case.orgs |= {cell for line in sheet.rows() for cell in line.cells}
    return _all_may_go(case)


@damage(TEXT, is_alone=True)
def header_name_too_many(case: Case, draw: Draw) -> bool:
    """A name in the header that has no cells below it."""
    sheet = draw.choice(case.of(*PEOPLE))
    names = sheet.head.cells
    names.insert(draw.randrange(len(names)), draw.choice(("notes", "userMasterIdentifier", "")))
    case.orgs |= {cell for line in sheet.rows() for cell in line.cells}
    return _all_may_go(case)


@damage(TEXT)
def header_of_two_lines(case: Case, draw: Draw) -> bool:
    """Names of groups of columns above the header, of merged cells."""
    for sheet in case.of("users"):
        groups = ["Person", *[""] * 3, "School", *[""] * (len(sheet.fields) - 5)]
        sheet.preface.append(noise(sheet.delimiter.join(groups)))
    case.is_refusable = True
    return True


@damage(TEXT)
def header_explained(case: Case, draw: Draw) -> bool:
    """`sourcedId (required)`, `* sourcedId`: names with remarks, or in two lines."""
    form = draw.choice(("{} (required)", "* {}", "#{}", "{} [text]", "{}*"))
    for sheet in case.of("users"):
        sheet.head.cells = [form.format(name) for name in sheet.head.cells]
    return _all_may_go(case)


@damage(TEXT)
def header_with_a_line_break(case: Case, draw: Draw) -> bool:
    """A name in quotes that goes on in the next line."""
    for sheet in case.of("users"):
        at = draw.randrange(len(sheet.head.cells))
        sheet.head.cells[at] = Verbatim(f'"{sheet.head.cells[at]}\n(see manual)"')
    return _all_may_go(case)


@damage(TEXT)
def header_after_a_hash(case: Case, draw: Draw) -> bool:
    """`#sourcedId,…`: a header that a program has made a remark."""
    for sheet in case.of(*PEOPLE):
        first = draw.choice(("#", "# ", "//", "REM "))
        sheet.head.cells[0] = first + sheet.head.cells[0]
    return _all_may_go(case)


@damage(TEXT, is_alone=True)
def types_below_header(case: Case, draw: Draw) -> bool:
    """A line of types or remarks between the header and the rows."""
    word = draw.choice(("String", "required", "varchar(255)", "{}", "text", "(GUID)"))
    for sheet in case.of(*PEOPLE):
        words = [word.format(name) for name in sheet.fields]
        sheet.lines.insert(0, noise(sheet.delimiter.join(words)))
    return True


@damage(TEXT)
def column_twice_by_other_names(case: Case, draw: Draw) -> bool:
    """`email` and `Email`, with different values: the exact name is the field."""
    sheet = draw.choice(case.of("users"))
    free = [name for name in sheet.head.cells if name in OTHER_NAMES]
    if not free or len(sheet.rows()) < len(sheet.lines):
        return False
    name = draw.choice(free)
    at = draw.randint(0, len(sheet.fields))
    for line in (sheet.head, *sheet.rows()):
        line.cells[at:at] = [draw.choice(("", "other-1"))] if len(line.cells) >= at else []
    sheet.head.cells[at] = draw.choice(OTHER_NAMES[name])
    sheet.fields.insert(at, "")
    case.is_refusable = True
    return True


@damage(TEXT)
def sep_line_of_another(case: Case, draw: Draw) -> bool:
    """`sep=;` before a file with other separators: Excel's line, and another program's rows."""
    for sheet in case.of("users", "roles", "demographics"):
        other = draw.choice([mark for mark in ",;\t|" if mark != sheet.delimiter])
        sheet.preface.append(noise(f"sep={other}"))
    case.is_refusable = True
    return True


@damage(TEXT)
def lines_between(case: Case, draw: Draw) -> bool:
    """Totals, names of groups and breaks of pages among the rows of a report."""
    sheet = draw.choice(case.of("users", "demographics"))
    width = len(sheet.fields) - 1
    for text in draw.sample(_marks(sheet), draw.randint(1, 4)):
        padding = sheet.delimiter * (width - text.count(sheet.delimiter))
        text += draw.choice(("", padding))
        sheet.lines.insert(draw.randint(0, len(sheet.lines)), noise(text))
    return True


def _marks(sheet: Sheet) -> list[str]:
    cut = sheet.delimiter
    return ["Oak School", f"Subtotal{cut}{len(sheet.lines)}", "Page 2 of 3", "\f", "Grade 9",
            "Subtotal: 12", f"{cut}Class 9b", "- 2 -", "Total", "* * *"]  # fmt: skip
