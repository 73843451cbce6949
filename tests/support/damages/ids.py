"""Damages of ids: what spreadsheets, databases and clipboards do to them."""

from collections.abc import Callable

from tests.support.damages.case import Case
from tests.support.damages.catalogue import CELL, ROW, Draw, cells_of, damage
from tests.support.damages.files import Verbatim

IDS = ("sourcedId", "userSourcedId")
REFERENCES = ("orgSourcedIds", "orgSourcedId", "primaryOrgSourcedId", "agentSourcedIds",
              "relationshipUserSourcedId")  # fmt: skip
TARGETS = ("users", "roles", "demographics", "relationships")
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u202a\u202e\u2066\u180e\u061c"


def _change(
    case: Case,
    draw: Draw,
    change: Callable[[str], str],
    *,
    is_certain: bool = False,
    is_number: bool = False,
    fields: tuple[str, ...] = (*IDS, *REFERENCES),
) -> bool:
    """Change ids of one column; each row may be lost, unless the original is certain."""
    fits = str.isdigit if is_number else bool
    chosen = cells_of(case, draw, *fields, targets=TARGETS, fits=fits)
    for sheet, line, place, field in chosen:
        line.cells[place] = change(line.cells[place])
        if not is_certain:
            case.harm_cell(sheet, line, field)
            if field != "primaryOrgSourcedId" and field in REFERENCES[:2]:
                case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def id_formula(case: Case, draw: Draw) -> bool:
    """`="00123"`, a spreadsheet's way to keep zeros (parsecsv-for-php#213, ChoETL#78)."""
    if draw.random() < 0.5:  # without quotes of CSV around it
        return _change(
            case, draw, lambda text: Verbatim(f'="{text}"') if "," not in text else f'="{text}"',
            is_certain=True,
        )  # fmt: skip
    return _change(case, draw, lambda text: f'="{text}"', is_certain=True)


@damage(CELL)
def id_formula_of_a_number(case: Case, draw: Draw) -> bool:
    """`=123` and `=T("123")`: formulas whose text is not certain."""
    form = draw.choice(("={}", '=T("{}")', "=TEXT({},0)", "=+{}"))
    return _change(case, draw, form.format)


@damage(CELL)
def id_apostrophe(case: Case, draw: Draw) -> bool:
    """`'00123`: the apostrophe that makes text of a number (archimatetool/archi#141)."""
    return _change(case, draw, lambda text: "'" + text)


@damage(CELL)
def id_e_notation(case: Case, draw: Draw) -> bool:
    """`1.00001E+11`: a number that a spreadsheet has shortened (cual-id#42)."""

    def shortened(text: str) -> str:
        form = f"{float(text + '00000') or 1.0:.5E}"
        return draw.choice((form, form.replace(".", ","), form.lower(), form.replace("E+", "E")))

    return _change(case, draw, shortened, is_number=True)


@damage(CELL)
def id_thousands(case: Case, draw: Draw) -> bool:
    """`123,456`: separators of thousands in a number."""
    mark = draw.choice((",", "\u00a0", "\u202f", "'", " "))
    return _change(case, draw, lambda text: text[:-3] + mark + text[-3:], is_number=True)


@damage(CELL)
def id_as_a_date(case: Case, draw: Draw) -> bool:
    """`1-Mar`: an id that a spreadsheet took for a date (cual-id#42, gene names)."""
    day = draw.randint(1, 12)
    form = draw.choice((f"{day}-Mar", f"Sep-{day:02}", f"{day:02}-Oct-26"))
    return _change(case, draw, lambda text: form)


@damage(CELL)
def id_error_word(case: Case, draw: Draw) -> bool:
    """`#REF!`: a formula that failed, or a column too narrow to be shown."""
    words = (
        "#REF!",
        "#N/A",
        "#NAME?",
        "#VALUE!",
        "########",
        "#DIV/0!",
        "#NULL!",
        "Err:502",
        "#SPILL!",
    )
    return _change(case, draw, lambda text: draw.choice(words))


@damage(CELL)
def id_invisible(case: Case, draw: Draw) -> bool:
    """A zero-width space, a mark of direction or a soft hyphen (code-dot-org#57818)."""

    def pasted(text: str) -> str:
        at = draw.choice((0, len(text), len(text) // 2))
        return text[:at] + draw.choice(ZERO_WIDTH) + text[at:]

    return _change(case, draw, pasted)


@damage(CELL)
def id_blanks_around(case: Case, draw: Draw) -> bool:
    """Blanks around an id: fixed width, or no-break spaces of a web page (lute-v3#612)."""
    pad = draw.choice((" ", "   ", "\u00a0", "\u2003", "\u3000"))
    return _change(case, draw, lambda text: pad + text + pad, is_certain=True)


@damage(CELL)
def id_control(case: Case, draw: Draw) -> bool:
    """A control character in an id (sqlite-utils#804)."""
    letter = draw.choice("\x00\x01\x07\x08\x1b\x7f\x80\x9f\t")
    return _change(case, draw, lambda text: text[:1] + letter + text[1:])


@damage(CELL)
def id_full_width(case: Case, draw: Draw) -> bool:
    """Digits of a Japanese keyboard, which are twice as wide, or Arabic ones."""
    start = draw.choice((0xFF10, 0x0660, 0x06F0))
    table = {ord("0") + n: chr(start + n) for n in range(10)}
    return _change(case, draw, lambda text: text.translate(table), is_number=True)


@damage(CELL)
def id_braces(case: Case, draw: Draw) -> bool:
    """`{0c5f…}`: a GUID as SQL Server and .NET write it."""
    form = draw.choice(("{{{}}}", "({})", "<{}>", "[{}]"))

    def braced(text: str) -> str:  # some systems have such ids, so nobody can notice those
        case.orgs.add(text.upper())  # where no file lists the orgs, it may be one
        return text if form[0] == "{" and text.count("-") == 4 else form.format(text.upper())

    return _change(case, draw, braced)


@damage(CELL)
def id_within_quotes(case: Case, draw: Draw) -> bool:
    """An id with its quotes in the cell: quoted twice by two programs."""
    mark = draw.choice(('"', "“", "'", "«"))
    return _change(case, draw, lambda text: mark + text + {"“": "”", "«": "»"}.get(mark, mark))


@damage(CELL)
def id_null_word(case: Case, draw: Draw) -> bool:
    """A database's word for nothing in place of an id (yuniql#77, azuredatastudio#17451)."""
    words = ("NULL", "null", "(null)", "\\N", "None", "NaN", "nan", "<NA>", "N/A", "n/a", "nil",
             "undefined", "-", "--", "?", "[NULL]", "<null>", "NaT", ".")  # fmt: skip
    return _change(case, draw, lambda text: draw.choice(words))


@damage(CELL)
def id_blank(case: Case, draw: Draw) -> bool:
    """A row without an id."""
    fields = (*IDS, *REFERENCES[:2])  # no agent at all may well be meant
    return _change(case, draw, lambda text: draw.choice(("", "  ", "\u00a0")), fields=fields)


@damage(CELL)
def id_too_long(case: Case, draw: Draw) -> bool:
    """More letters than OneRoster allows."""
    return _change(case, draw, lambda text: text.replace(",", "") + "0" * 300)


@damage(CELL)
def id_of_a_path(case: Case, draw: Draw) -> bool:
    """An id that leads elsewhere in a URL, or is one."""
    forms = (
        "..",
        ".",
        "../{}",
        "https://sis.example/users/{}",
        "{}?x",
        "{}#1",
        "%2e%2e",
        "a//b\\{}",
    )
    return _change(case, draw, lambda text: draw.choice(forms).format(text))


@damage(CELL)
def id_in_another_script(case: Case, draw: Draw) -> bool:
    """A Cyrillic or accented letter that looks like the Latin one."""
    return _change(case, draw, lambda text: "\u0405" + text[1:])


@damage(CELL)
def id_of_a_link(case: Case, draw: Draw) -> bool:
    """`=HYPERLINK("https://…","00123")`: a link to the person's page."""
    forms = ('=HYPERLINK("https://sis.example/{0}","{0}")', "[{0}](https://sis.example/{0})",
             '<a href="/{0}">{0}</a>', "{0} <https://sis.example/{0}>")  # fmt: skip
    return _change(case, draw, lambda text: draw.choice(forms).format(text))


@damage(CELL)
def id_escaped(case: Case, draw: Draw) -> bool:
    """`oak%2F1`, `oak&#47;1`: an id of a URL or of a page."""

    def escaped(text: str) -> str:
        form = draw.choice(("%{:02X}", "&#{};", "\\u{:04x}", "=3D{:02X}"))
        return text[:1] + form.format(ord(text[1])) + text[2:]

    return _change(case, draw, lambda text: escaped(text) if len(text) > 1 else text + "%00")


@damage(CELL)
def id_with_a_mark_behind(case: Case, draw: Draw) -> bool:
    """`00123'`, `00123;`, `00123*`: signs of a list, of a formula or of a remark."""
    mark = draw.choice(("'", ";", "*", "?", '"', ":", " (new)", "=", "#", "]"))
    return _change(case, draw, lambda text: text + mark)


@damage(CELL)
def id_with_decimals(case: Case, draw: Draw) -> bool:
    """`123,0`, `123.00`, `1.0E2`: a number with decimals of a spreadsheet or of pandas."""
    form = draw.choice(("{},0", "{}.00", "{}.0", "{},00", "{}.0E0"))
    case.orgs |= {"0", "00"}  # with a comma it is a list of two
    return _change(case, draw, form.format, is_number=True)


@damage(CELL)
def reference_in_capitals(case: Case, draw: Draw) -> bool:
    """`S00123` for `s00123` in one column: another system's way to write ids."""

    def other(text: str) -> str:
        changed = text.upper() if text.upper() != text else text.lower()
        case.orgs.add(changed)  # where no file lists the orgs, it may be one
        return changed

    return _change(case, draw, other, fields=("userSourcedId", *REFERENCES))


# -- what only one who knows the people of before can notice


@damage(CELL, is_of_known=True)
def known_zeros_lost(case: Case, draw: Draw) -> bool:
    """Leading zeros of all ids lost (archimatetool/archi#141)."""
    return _every(case, lambda text: text.lstrip("0") or "0", lambda text: text.startswith("0"))


@damage(CELL, is_of_known=True)
def known_point_zero(case: Case, draw: Draw) -> bool:
    """All ids became floats: `123.0` (pandas, integers with gaps)."""
    return _every(case, lambda text: f"{int(text)}.0", str.isdigit)


@damage(CELL, is_of_known=True)
def known_other_case(case: Case, draw: Draw) -> bool:
    """All ids in capitals, after a change of the database."""
    return _every(case, str.upper, lambda text: text.upper() != text)


@damage(CELL, is_of_known=True)
def known_prefix(case: Case, draw: Draw) -> bool:
    """All ids with a prefix, after a change of the exporting system."""
    return _every(case, lambda text: f"SIS-{text}", bool)


@damage(CELL, is_of_known=True)
def known_hyphens_lost(case: Case, draw: Draw) -> bool:
    """UUIDs without their hyphens."""
    return _every(case, lambda text: text.replace("-", ""), lambda text: text.count("-") == 4)


def _every(case: Case, change: Callable[[str], str], fits: Callable[[str], bool]) -> bool:
    """Change every id of a person, wherever it stands; the whole has to be refused, or told."""
    if not all(map(fits, case.truth)) or len(set(map(change, case.truth))) != len(case.truth):
        return False
    for sheet in case.of(*TARGETS):
        for field in (*IDS, "relationshipUserSourcedId", "agentSourcedIds"):
            place = sheet.place(field)
            for line in sheet.rows() if place is not None else ():
                assert place is not None
                parts = line.cells[place].split(",")
                known = [change(part) if part in case.truth else part for part in parts]
                line.cells[place] = ",".join(known)
    case.harm_all()
    case.is_refusable = True
    return True
