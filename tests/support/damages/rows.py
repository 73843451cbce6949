"""Damages of which rows there are: doubled, cut off, mixed with what is no row."""

from tests.support.damages.case import Case
from tests.support.damages.catalogue import ROW, TEXT, Draw, damage, rows_of
from tests.support.damages.files import Line, Sheet, noise

DATA = ("users", "roles", "demographics", "relationships")


# -- line ends


# -- the width of rows


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
    if any(line.is_merged for sheet in case.of("users") for line in sheet.lines):
        return False  # the first row of a person says the primary org
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
    if any(line.is_merged for line in sheet.lines):
        return False  # what other rows say of a person would be forgotten
    line = draw.choice(sheet.rows())
    text = sheet.text_of(line)
    last = text.rfind(sheet.delimiter)
    half = text[: draw.randint(1, last)]
    if not any(letter.isalnum() for letter in half):
        return False  # a blank line says nothing
    _end_with(case, sheet, line)
    line.text = half
    return True


@damage(TEXT)
def truncated_in_a_letter(case: Case, draw: Draw) -> bool:
    """The file ends in the middle of a letter of two bytes."""
    sheet = draw.choice(case.of("users"))
    rows = [line for line in sheet.rows() if not sheet.text_of(line).isascii()]
    if not rows or sheet.encoding != "utf-8" or any(line.is_merged for line in sheet.lines):
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
            if sheet.target == "demographics" and not any(
                own in each.owners for each in sheet.lines[: at + 1]
            ):
                case.truth.get(own, {}).pop("birthDate", None)
        if sheet.target == "relationships":
            for pair in gone.links:
                case.links.pop(pair, None)
    # Links that stood on the lost rows alone are gone with them, those on both rows are not.
    if sheet.target == "users":
        named = {frozenset(p) for each in case.of("users", "relationships")
                 for other in each.lines if each is not sheet or other in sheet.lines[: at + 1]
                 for p in other.links}  # fmt: skip
        case.links = {pair: how for pair, how in case.links.items() if frozenset(pair) in named}
    del sheet.lines[at + 1 :]
    sheet.has_last_end = False
    case.harm_line(sheet, line)


@damage(TEXT)
def footer(case: Case, draw: Draw) -> bool:
    """A line of the program behind the rows, such as a count (vscode_rainbow_csv#108)."""
    sheet = draw.choice(case.of("users", "roles", "demographics"))
    text = draw.choice(
        (
            "({n} rows affected)",
            "{n} rows selected.",
            "Total: {n}",
            "Total,{n}",
            "-- end of file --",
            "Rows: {n}",
            "EOF",
            '"Total records: {n}"',
            "TRAILER|{n}",
        )
    )
    sheet.has_last_end = True
    is_spaced = draw.random() < 0.5
    if is_spaced and not any(line.end for line in sheet.lines):  # or it would be part of an end
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
        is_mixed = any(line.end for line in sheet.lines)  # a blank line would be part of an end
        text = draw.choice(
            (" " if is_mixed else "", " ", sheet.delimiter * (len(sheet.fields) - 1), '""')
        )
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
