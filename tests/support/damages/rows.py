"""Damages of rows and their quotes: what a record is, and where it ends."""

from tests.support.damages.catalogue import ROW, TEXT, Draw, cells_of, damage, rows_of
from tests.support.damages.case import Case
from tests.support.damages.files import Line, Sheet, Verbatim, noise

DATA = ("users", "roles", "demographics", "relationships")
NAMES = ("givenName", "familyName")
TEXTS = {*NAMES, "middleName", "username", "email", "phone", "sms", "identifier", "pronouns"}


def _spoil(case: Case, draw: Draw, spoil: object) -> bool:
    """Write one cell of a row verbatim, as `spoil` makes it; the row may be lost."""
    for sheet, line in rows_of(case, draw, *DATA):
        place = draw.randrange(len(line.cells))
        line.cells[place] = Verbatim(spoil(line.cells[place]))  # type: ignore[operator]
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
        place = draw.randrange(len(line.cells))
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
        chosen := cells_of(case, draw, *NAMES, "email", "middleName")
    ):
        line.cells[place] = Verbatim(' "' + line.cells[place].replace('"', '""') + '"')
        case.harm_cell(sheet, line, field)
    return bool(chosen)


@damage(ROW)
def blank_after_quotes(case: Case, draw: Draw) -> bool:
    """A blank between the closing quote and the comma (CsvHelper#204)."""
    for sheet, line, place, field in (
        chosen := cells_of(case, draw, *NAMES, "email", "middleName")
    ):
        line.cells[place] = Verbatim('"' + line.cells[place].replace('"', '""') + '" ')
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def single_quotes(case: Case, draw: Draw) -> bool:
    """SQL's quotes around every cell of a row (Edlio: troubleshooting CSVs)."""
    for sheet, line in (chosen := rows_of(case, draw, "users", "roles", most=3)):
        line.cells = [Verbatim(f"'{cell}'") if "," not in cell else cell for cell in line.cells]
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


# -- line ends


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
        for line in sheet.lines:
            line.end = draw.choice(("\r\n", "\n", "\n", "\r"))
    return True


@damage(TEXT)
def doubled_line_ends(case: Case, draw: Draw) -> bool:
    r"""`\r\r\n` at each end: written in text mode twice on Windows (python csv, newline="")."""
    for sheet in case.sheets.values():
        sheet.end = draw.choice(("\r\r\n", "\r\n\r\n"))
    return True


# -- the width of rows


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
    return True


@damage(ROW)
def trailing_blanks_trimmed(case: Case, draw: Draw) -> bool:
    """Every row ends with its last filled cell (dathere/qsv#2613)."""
    for sheet in case.of("users"):
        for line in sheet.rows():
            del line.cells[_filled(line) :]
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
        line.cells += ["see office"]
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def cell_inserted(case: Case, draw: Draw) -> bool:
    """A comma too many in the middle: what follows stands one column too far right."""
    for sheet, line in (chosen := rows_of(case, draw, "users", "roles", most=3)):
        at = draw.randrange(_filled(line))
        line.cells.insert(at, draw.choice(("", "", "x")))
        if draw.random() < 0.5 and not line.cells[-1]:
            line.cells.pop()  # and as many cells as before
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def cell_lost(case: Case, draw: Draw) -> bool:
    """A comma lost in the middle: what follows stands one column too far left."""
    for sheet, line in (chosen := rows_of(case, draw, "users", "roles", most=3)):
        del line.cells[draw.randrange(_filled(line))]
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def comma_in_name(case: Case, draw: Draw) -> bool:
    """`Byron, Jr.` without quotes: a cell in two (Edlio: troubleshooting CSVs)."""
    for sheet, line, place, _ in (chosen := cells_of(case, draw, *NAMES, most=2)):
        line.cells[place] = Verbatim(line.cells[place].replace(",", "").replace('"', "") + ", Jr.")
        case.harm_line(sheet, line)
    return bool(chosen)


# -- which rows there are


@damage(ROW)
def doubled_rows(case: Case, draw: Draw) -> bool:
    """The same row twice (Clever: sourcedId is not unique)."""
    for sheet, line in (chosen := rows_of(case, draw, *DATA, most=4)):
        again = line.copy()
        line.is_merged = again.is_merged = True
        sheet.lines.insert(draw.randint(0, len(sheet.lines)), again)
    return bool(chosen)


@damage(ROW)
def doubled_file(case: Case, draw: Draw) -> bool:
    """An export appended to itself, header and all."""
    sheet = draw.choice(case.of("users", "roles", "demographics"))
    for line in sheet.lines:
        line.is_merged = True
    head = sheet.head.copy()
    head.is_noise = True
    sheet.lines += [head, *(line.copy() for line in sheet.lines)]
    for line in sheet.lines:
        line.is_merged = not line.is_noise
    return True


@damage(ROW)
def headers_between(case: Case, draw: Draw) -> bool:
    """The header is repeated on each page of a report."""
    for sheet in case.of(*DATA):
        for at in range(len(sheet.lines) - 1, 0, -draw.randint(3, 6)):
            head = sheet.head.copy()
            head.is_noise = True
            sheet.lines.insert(at, head)
    return True


@damage(ROW)
def shuffled_rows(case: Case, draw: Draw) -> bool:
    """Rows in another order, children before and after their parents."""
    for sheet in case.of("users", "roles", "demographics", "relationships", "orgs"):
        draw.shuffle(sheet.lines)
    return True


@damage(TEXT)
def truncated_in_a_row(case: Case, draw: Draw) -> bool:
    """The disk was full: the file ends in the middle of a row (HMH: incomplete files)."""
    sheets = [each for each in case.of("users", "demographics", "relationships") if each.rows()]
    if not sheets:
        return False
    sheet = draw.choice(sheets)
    line = draw.choice(sheet.rows())
    text = sheet.text_of(line)
    last = text.rfind(sheet.delimiter)
    _end_with(case, sheet, line)
    line.text = text[: draw.randint(1, last)]
    return True


@damage(TEXT)
def truncated_in_a_letter(case: Case, draw: Draw) -> bool:
    """The file ends in the middle of a letter of two bytes."""
    sheet = draw.choice(case.of("users"))
    if sheet.encoding != "utf-8":
        return False
    rows = [line for line in sheet.rows() if not sheet.text_of(line).isascii()]
    if not rows:
        return False
    line = draw.choice(rows)
    raw = sheet.text_of(line).encode()
    first = next(n for n, byte in enumerate(raw) if byte > 127)
    _end_with(case, sheet, line)
    line.raw = raw[: first + 1]
    case.is_refusable = True
    return True


def _end_with(case: Case, sheet: Sheet, line: Line) -> None:
    at = sheet.lines.index(line)
    for gone in sheet.lines[at + 1 :]:
        for own in gone.owners:
            if sheet.target == "users" and not any(
                own in each.owners for each in sheet.lines[: at + 1]
            ):
                case.forget(own)
            case.truth.get(own, {}).pop(
                "birthDate", None
            ) if sheet.target == "demographics" else None
        if sheet.target == "relationships":
            for pair in gone.links:
                case.links.pop(pair, None)
                case.harm(pair[1])  # a guardian is nobody without a child
    # Links that stood on the lost rows alone are gone with them, those on both rows are not.
    if sheet.target == "users":
        named = {frozenset(p) for each in case.of("users", "relationships")
                 for other in each.lines if each is not sheet or other in sheet.lines[: at + 1]
                 for p in other.links}  # fmt: skip
        case.links = {pair: how for pair, how in case.links.items() if frozenset(pair) in named}
        if case.kind.startswith("SDS"):
            for own in case.truth:
                if not any(own in pair for pair in case.links):
                    case.harm(own)
    del sheet.lines[at + 1 :]
    sheet.has_last_end = False
    case.harm_line(sheet, line)


@damage(TEXT)
def footer(case: Case, draw: Draw) -> bool:
    """A line of the program behind the rows, such as SQL Server's count (vscode_rainbow_csv#108)."""
    sheet = draw.choice(case.of("users", "roles", "demographics"))
    text = draw.choice(
        ("({n} rows affected)", "{n} rows selected.", "Total: {n}", "Total,{n}", "-- end of file --",
         "Rows: {n}", "EOF", '"Total records: {n}"', "TRAILER|{n}")
    )  # fmt: skip
    sheet.has_last_end = True
    if draw.random() < 0.5:
        sheet.lines.append(noise(""))
    sheet.lines.append(noise(text.format(n=len(sheet.lines))))
    return True


@damage(TEXT)
def control_z(case: Case, draw: Draw) -> bool:
    """The end-of-file mark of DOS behind the last row."""
    for sheet in case.of("users", "roles"):
        sheet.has_last_end = True
        sheet.lines.append(noise("\x1a" * draw.choice((1, 1, 30))))
        sheet.has_last_end = draw.random() < 0.5
    return True


@damage(TEXT)
def nuls_at_the_end(case: Case, draw: Draw) -> bool:
    """A block of NULs behind the last row, after a crash of the disk (sqlite-utils#804)."""
    sheet = draw.choice(case.of("users", "roles", "demographics"))
    sheet.has_last_end = True
    sheet.lines.append(noise("\0" * draw.choice((1, 16, 4096))))
    sheet.has_last_end = draw.random() < 0.5
    return True


@damage(TEXT)
def nuls_within(case: Case, draw: Draw) -> bool:
    """NULs in place of part of a row (turicas/rows#273)."""
    for sheet, line in rows_of(case, draw, *DATA):
        text = sheet.text_of(line)
        at = draw.randrange(len(text))
        line.text = text[:at] + "\0" * draw.choice((1, 2, 8)) + text[at + draw.randint(0, 3) :]
        case.harm_line(sheet, line)
        return True
    return False


@damage(TEXT)
def blank_lines(case: Case, draw: Draw) -> bool:
    """Blank lines, or lines of nothing but commas and blanks, among the rows."""
    for sheet in case.of(*DATA):
        text = draw.choice(("", "", " ", sheet.delimiter * (len(sheet.fields) - 1), '""'))
        for at in range(len(sheet.lines) - 1, -1, -draw.randint(1, 4)):
            sheet.lines.insert(at, noise(text))
    return True


@damage(TEXT)
def comment_lines(case: Case, draw: Draw) -> bool:
    """A remark of the exporting program among the rows."""
    sheet = draw.choice(case.of("users", "roles"))
    sheet.lines.insert(draw.randint(0, len(sheet.lines)), noise("# page 2, printed 2026-01-05"))
    return True


@damage(TEXT)
def bom_in_the_middle(case: Case, draw: Draw) -> bool:
    """Files with a byte order mark joined by `cat`: the mark stands before a row."""
    for sheet, line in rows_of(case, draw, *DATA):
        line.text = "\ufeff" + sheet.text_of(line)
        case.harm_line(sheet, line)
        return True
    return False
