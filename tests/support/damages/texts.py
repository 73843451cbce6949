"""Damages of names and other texts, and words for nothing."""

from tests.support.damages.case import Case
from tests.support.damages.catalogue import CELL, Draw, cells_of, damage
from tests.support.damages.values import change

NAMES = ("givenName", "familyName")
TEXTS = (*NAMES, "middleName", "username", "email", "phone", "identifier")
WORDS = (
    "NULL", "null", "(null)", "\\N", "None", "NaN", "nan", "<NA>", "N/A", "n/a", "#N/A", "-", "--",
    "nil", "[NULL]", "<null>", "NaT", "undefined",
)  # fmt: skip


@damage(CELL)
def text_control(case: Case, draw: Draw) -> bool:
    """A NUL, a bell or an escape in a name (turicas/rows#273, sqlite-utils#804)."""
    letter = draw.choice("\x00\x01\x07\x08\x1b\x7f\x81\x9d\t")
    return change(case, draw, TEXTS, lambda text: text[:1] + letter + text[1:])


@damage(CELL)
def text_invisible(case: Case, draw: Draw) -> bool:
    """A zero-width space, a mark of direction or a soft hyphen in a text (code-dot-org#57818)."""
    letter = draw.choice("\u200b\u2060\ufeff\u00ad\u200e\u202e\u2066\u200f")
    return change(case, draw, TEXTS, lambda text: text[:1] + letter + text[1:])


@damage(CELL)
def text_blanks_around(case: Case, draw: Draw) -> bool:
    """Cells of fixed width, or no-break spaces around them."""
    pad = draw.choice((" ", "    ", "\u00a0", "\u3000"))
    return change(
        case, draw, (*TEXTS, "role", "status", "enabledUser", "grades"),
        lambda text: pad + text + pad, is_certain=True,
    )  # fmt: skip


@damage(CELL)
def text_letter_lost(case: Case, draw: Draw) -> bool:
    """U+FFFD: a letter that an earlier program could not read."""
    return change(case, draw, TEXTS, lambda text: text[:2] + "\ufffd" + text[2:])


@damage(CELL)
def text_question_marks(case: Case, draw: Draw) -> bool:
    """`Mu?oz`: a letter that the code page of the export lacks."""
    return change(
        case, draw, NAMES, lambda text: text[:2] + "?" + text[3:], fits=lambda cell: cell[:1] != "#"
    )


@damage(CELL)
def text_encoded_twice(case: Case, draw: Draw) -> bool:
    """`JosÃ©`: UTF-8, read as cp1252 and written again (swissgeol-boreholes-suite#2811)."""
    chosen = cells_of(case, draw, *NAMES, fits=lambda cell: not cell.strip().isascii())
    for sheet, line, place, field in chosen:
        line.cells[place] = line.cells[place].encode().decode("latin-1")
        case.harm_cell(sheet, line, field)
    return bool(chosen)


@damage(CELL)
def text_of_html(case: Case, draw: Draw) -> bool:
    """`O&#39;Brien`, `M&uuml;ller`: texts of a web page."""
    form = draw.choice(("{}&#39;s", "{}&amp;Co", "<b>{}</b>", "{}<br/>", "&nbsp;{}", "M&uuml;{}"))
    return change(case, draw, NAMES, form.format)


@damage(CELL)
def text_error_word(case: Case, draw: Draw) -> bool:
    """`#REF!`: a formula that failed (Excel)."""
    words = ("#REF!", "#N/A", "#NAME?", "#VALUE!", "########", "#DIV/0!", "#NULL!")
    return change(case, draw, TEXTS, lambda text: draw.choice(words), is_lost=True)


@damage(CELL)
def text_formula(case: Case, draw: Draw) -> bool:
    """`="Ada"`, `=PROPER(A2)`: formulas in place of their values."""
    form = draw.choice(('="{}"', "=PROPER(A2)", '=HYPERLINK("https://x.example","{}")', '=T("{}")'))
    return change(case, draw, (*NAMES, "username", "email"), form.format, is_lost=True)


@damage(CELL)
def text_apostrophe(case: Case, draw: Draw) -> bool:
    """`'0123`: the apostrophe that keeps zeros, in a number that is an optional text."""
    return change(case, draw, ("identifier",), lambda text: "'" + text, fits=str.isdigit)


@damage(CELL)
def text_e_notation(case: Case, draw: Draw) -> bool:
    """`1.55501E+10`: a number that a spreadsheet has shortened."""
    return change(
        case,
        draw,
        ("identifier", "phone"),
        lambda text: draw.choice(("1.55501E+10", "1,23457E+11")),
    )


@damage(CELL)
def text_very_long(case: Case, draw: Draw) -> bool:
    """A whole document pasted into a cell."""
    for sheet, line, place, field in (chosen := cells_of(case, draw, *TEXTS, most=1)[:1]):
        line.cells[place] += " x" * draw.choice((200, 5_000, 70_000))
        case.harm_line(sheet, line)
        for own in line.owners:
            case.truth[own][field] = line.cells[place]
    return bool(chosen)


@damage(CELL)
def name_in_one_cell(case: Case, draw: Draw) -> bool:
    """The whole name in the last name, as Clever writes contacts; the first name is blank."""
    return change(case, draw, NAMES, lambda text: draw.choice(("", " ", "\u00a0")))


@damage(CELL)
def passwords(case: Case, draw: Draw) -> bool:
    """Passwords in the file; they are never sent."""
    return change(
        case, draw, ("password",), lambda text: "CanaryPassword", is_filled=False, is_certain=True
    )


@damage(CELL)
def null_of_typed(case: Case, draw: Draw) -> bool:
    """SQL Server's NULL in columns that hold no names (yuniql#77, azuredatastudio#17451)."""
    word = draw.choice([each for each in WORDS if each != "#N/A"])  # that was something else
    fields = (
        "status",
        "dateLastModified",
        "email",
        "grades",
        "agentSourcedIds",
        "birthDate",
        "userIds",
        "primaryOrgSourcedId",
        "beginDate",
        "endDate",
        "userProfileSourcedId",
    )
    return change(
        case, draw, fields, lambda text: word, is_filled=False, is_certain=True,
        targets=("users", "roles", "demographics"),
    )  # fmt: skip


@damage(CELL)
def null_everywhere(case: Case, draw: Draw) -> bool:
    """Every blank cell of the file is NULL, as sqlcmd and pandas write it."""
    word = draw.choice(("NULL", "NULL", "\\N", "None", "NaN", "(null)"))
    for sheet in case.of("users"):
        for line in sheet.rows():
            for place, field in enumerate(sheet.fields):
                if not line.cells[place] and field not in NAMES:
                    line.cells[place] = word
                    if field in (
                        "middleName",
                        "username",
                        "phone",
                        "identifier",
                        "sms",
                        "pronouns",
                    ):
                        case.harm_cell(sheet, line, field)
    return True


@damage(CELL)
def null_of_texts(case: Case, draw: Draw) -> bool:
    """A word for nothing in an optional text, where it may be told from a name or not."""
    word = draw.choice(WORDS)
    fields = ("middleName", "phone", "identifier", "username")
    return change(
        case, draw, fields, lambda text: word, is_filled=False, is_lost=word.startswith("#")
    )


@damage(CELL)
def null_of_required(case: Case, draw: Draw) -> bool:
    """A word for nothing where a value has to be."""
    word = draw.choice(("NULL", "(null)", "\\N", "#N/A", "<NA>", "n/a", "-"))
    fields = ("enabledUser", "role", "orgSourcedIds", "orgSourcedId", "roleType")
    return change(case, draw, fields, lambda text: word, targets=("users", "roles"))


@damage(CELL)
def email_of_a_link(case: Case, draw: Draw) -> bool:
    """`mailto:ada@…`, `Ada <ada@…>`: an e-mail of a link or of an address book, or two."""
    forms = ("mailto:{}", "<{}>", "Ada Byron <{}>", "[{0}](mailto:{0})", "{};b@canary.example",
             "{}, b@canary.example", "E-Mail: {}", "mailto:{}?subject=x", "{} (work)", "{} / -",
             "smtp:{}", "a b {}", "{}.", "'{}'")  # fmt: skip
    return change(case, draw, ("email",), lambda text: draw.choice(forms).format(text))


@damage(CELL)
def name_last_first(case: Case, draw: Draw) -> bool:
    """`BYRON, Ada` in the family name, and no given name."""
    chosen = cells_of(case, draw, "familyName")
    for sheet, line, place, _ in chosen:
        given = sheet.fields.index("givenName")
        line.cells[place] = f"{line.cells[place].upper()}, {line.cells[given]}"
        line.cells[given] = ""
        case.harm_line(sheet, line)
    return bool(chosen)
