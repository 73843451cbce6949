"""Damages of quotes and line breaks: where a cell ends, and where a row does."""

from collections.abc import Callable

from tests.support.damages.case import Case
from tests.support.damages.catalogue import ROW, Draw, cells_of, damage, rows_of
from tests.support.damages.files import Verbatim

DATA = ("users", "roles", "demographics", "relationships")
NAMES = ("givenName", "familyName")
TEXTS = {*NAMES, "middleName", "username", "email", "phone", "sms", "identifier", "pronouns"}


def _is_text(cell: str) -> bool:
    """Whether no damage has written a cell as it is."""
    return not isinstance(cell, Verbatim)


def _spoil(case: Case, draw: Draw, spoil: Callable[[str], str]) -> bool:
    """Write one cell of a row verbatim, as `spoil` makes it; the row may be lost."""
    for sheet, line in rows_of(case, draw, *DATA):
        place = draw.randrange(len(line.cells))
        line.cells[place] = Verbatim(spoil(line.cells[place]))
        case.harm_line(sheet, line)
        return True
    return False


@damage(ROW)
def quote_never_closed(case: Case, draw: Draw) -> bool:
    """A quote that opens a cell and is never closed (jexp/batch-import#50, OpenRefine#690)."""
    return _spoil(case, draw, lambda cell: '"' + cell)


@damage(ROW)
def quote_never_opened(case: Case, draw: Draw) -> bool:
    """A quote at the end of a cell that none opened (apple/turicreate#1692)."""
    return _spoil(case, draw, lambda cell: cell + '"')


@damage(ROW)
def quote_within(case: Case, draw: Draw) -> bool:
    """Inches, or a nickname: a quote within a cell that has none around it (sqlitebrowser#542)."""
    for sheet, line in rows_of(case, draw, *DATA):
        place = draw.randrange(min(len(line.cells), len(sheet.fields)))
        text = f'{line.cells[place][:1] or "x"}"{line.cells[place][1:] or "y"}'.replace(",", "")
        line.cells[place] = Verbatim(text)
        if sheet.fields[place] in TEXTS:  # here it may well be meant
            for own in line.owners:
                case.truth[own][sheet.fields[place]] = text
        case.harm_line(sheet, line)
        return True
    return False


@damage(ROW)
def quote_alone(case: Case, draw: Draw) -> bool:
    """A cell that is one quote and nothing else (OpenRefine#690)."""
    return _spoil(case, draw, lambda cell: '"')


@damage(ROW)
def quote_then_text(case: Case, draw: Draw) -> bool:
    """Text after the closing quote of a cell (CsvHelper#204)."""
    return _spoil(case, draw, lambda cell: '"' + cell.replace('"', "") + '"x')


@damage(ROW)
def quotes_not_doubled(case: Case, draw: Draw) -> bool:
    """A nickname in quotes within a quoted cell, not doubled (Edlio: troubleshooting CSVs)."""
    return _nickname(case, draw, '"Ada "Lady" King"')


@damage(ROW)
def quotes_with_backslashes(case: Case, draw: Draw) -> bool:
    r"""Quotes escaped by MySQL's `\"` in place of doubled ones (parsecsv-for-php)."""
    return _nickname(case, draw, '"Ada \\"Lady\\" King"')


def _nickname(case: Case, draw: Draw, text: str) -> bool:
    for sheet, line, place, field in cells_of(case, draw, *NAMES, most=1)[:1]:
        line.cells[place] = Verbatim(text)
        for own in line.owners:
            case.truth[own][field] = 'Ada "Lady" King'
        case.harm_line(sheet, line)
        return True
    return False


@damage(ROW)
def quotes_in_two_rows(case: Case, draw: Draw) -> bool:
    """A stray quote opens in one row, and another one closes in a later row (sqlitebrowser#542)."""
    rows = [row for row in rows_of(case, draw, *DATA, most=9) if row[1].cells]
    if len(rows) < 2:
        return False
    for (sheet, line), form in zip((rows[0], rows[-1]), ('"{}', '{}"'), strict=True):
        place = draw.randrange(len(line.cells))
        line.cells[place] = Verbatim(form.format(line.cells[place]))
        case.harm_line(sheet, line)
    return True


@damage(ROW)
def blank_before_quotes(case: Case, draw: Draw) -> bool:
    """A blank after each comma, before the quote (CsvHelper#204)."""
    for sheet, line, place, field in (
        chosen := cells_of(case, draw, *NAMES, "email", "middleName", fits=_is_text)
    ):
        line.cells[place] = Verbatim(' "' + line.cells[place].replace('"', '""') + '"')
        case.harm_cell(sheet, line, field)
    return bool(chosen)


@damage(ROW)
def blank_after_quotes(case: Case, draw: Draw) -> bool:
    """A blank between the closing quote and the comma (CsvHelper#204)."""
    for sheet, line, place, _ in (
        chosen := cells_of(case, draw, *NAMES, "email", "middleName", fits=_is_text)
    ):
        line.cells[place] = Verbatim('"' + line.cells[place].replace('"', '""') + '" ')
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def single_quotes(case: Case, draw: Draw) -> bool:
    """SQL's quotes around every cell of a row (Edlio: troubleshooting CSVs)."""
    for sheet, line in (chosen := rows_of(case, draw, "users", "roles", most=3)):
        line.cells = [
            Verbatim(f"'{cell}'") if "," not in cell and _is_text(cell) else cell
            for cell in line.cells
        ]
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def row_within_quotes(case: Case, draw: Draw) -> bool:
    """A row that a spreadsheet saved as one cell: quoted as a whole, its quotes doubled."""
    for sheet, line in rows_of(case, draw, *DATA):
        line.text = '"' + sheet.text_of(line).replace('"', '""') + '"'
        case.harm_line(sheet, line)
        return True
    return False


@damage(ROW)
def line_break_in_quotes(case: Case, draw: Draw) -> bool:
    """A line break in a quoted cell, which OneRoster forbids (jexp/batch-import#50)."""
    break_ = draw.choice(("\n", "\r\n", "\r"))
    for sheet, line, place, _ in (
        chosen := cells_of(case, draw, *NAMES, "email", "phone", "identifier", most=1)[:1]
    ):
        cell = line.cells[place].replace('"', '""')
        line.cells[place] = Verbatim(f'"{cell[:2]}{break_}{cell[2:]}"')
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def line_break_bare(case: Case, draw: Draw) -> bool:
    """A line break in a cell without quotes: a row in two pieces (Stata's FAQ on CSV)."""
    return _cut(case, draw, DATA, ("\n", "\r\n", "\r"))


@damage(ROW)
def row_in_three_pieces(case: Case, draw: Draw) -> bool:
    """An address of three lines pasted into a cell without quotes."""
    return _cut(case, draw, ("users",), ("\n\n", "\r\n\r\n", "\nx\n"))


def _cut(case: Case, draw: Draw, targets: tuple[str, ...], breaks: tuple[str, ...]) -> bool:
    for sheet, line in rows_of(case, draw, *targets):
        text = sheet.text_of(line)
        first, last = text.find(sheet.delimiter), text.rfind(sheet.delimiter)
        if first == last:
            return False  # one of two halves could be a whole row
        at = draw.randint(first + 1, last)
        line.text = text[:at] + draw.choice(breaks) + text[at:]
        case.harm_line(sheet, line)
        return True
    return False


@damage(ROW)
def odd_line_separators(case: Case, draw: Draw) -> bool:
    """A letter that some programs take for a line end, and CSV does not: U+2028, NEL, form feed."""
    for sheet, line, place, field in (
        chosen := cells_of(case, draw, *NAMES, "middleName", "email", most=2)
    ):
        letter = draw.choice("\u2028\u2029\x85\x0b\x0c\x1c\x1e")
        line.cells[place] = line.cells[place][:1] + letter + line.cells[place][1:]
        case.harm_cell(sheet, line, field)
    return bool(chosen)


@damage(ROW)
def quotes_doubled_at_the_ends(case: Case, draw: Draw) -> bool:
    """`""Ada""`: a cell quoted by two programs."""
    return _spoil(case, draw, lambda cell: f'""{cell}""')


@damage(ROW)
def backslashes_in_place_of_quotes(case: Case, draw: Draw) -> bool:
    r"""MySQL's dialect: `Byron\, Jr.` and `\"Bob\"`, without quotes around the cell."""
    done = False
    for sheet in case.of("users"):
        for line in sheet.rows():
            for place, cell in enumerate(line.cells):
                if _is_text(cell) and (sheet.delimiter in cell or '"' in cell):
                    text = cell.replace('"', '\\"').replace(sheet.delimiter, f"\\{sheet.delimiter}")
                    line.cells[place] = Verbatim(text)
                    case.harm_line(sheet, line)
                    done = True
    return done


@damage(ROW)
def quotes_of_a_word_processor(case: Case, draw: Draw) -> bool:
    """Typographic quotes around the cells of some rows, after an edit in a word processor."""
    for sheet, line in (chosen := rows_of(case, draw, "users", "roles", most=4)):
        line.cells = [
            Verbatim(f"\u201c{cell}\u201d") if _is_text(cell) else cell for cell in line.cells
        ]
        case.harm_line(sheet, line)
    return bool(chosen)
