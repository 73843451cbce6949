"""Damages of encodings: whole files, and single lines of them."""

from tests.support.damages.case import Case
from tests.support.damages.catalogue import FILE, Draw, damage
from tests.support.damages.files import Sheet, Verbatim

NAMES = ("givenName", "familyName", "middleName")
CODE_PAGES = ("shift_jis", "gbk", "koi8-r", "cp1250", "mac-roman", "cp1251", "big5", "euc-kr",
              "iso8859-15", "cp437", "gb18030", "iso2022-jp")  # fmt: skip


def _fits(sheet: Sheet, encoding: str) -> bool:
    try:
        for line in (*sheet.preface, sheet.head, *sheet.lines):
            sheet.text_of(line).encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _encoded(case: Case, encoding: str, *, is_told: bool, is_mixed: bool = False) -> bool:
    """Write all files in another encoding, where they can be."""
    sheets = list(case.sheets.values())
    if any(line.raw is not None for sheet in sheets for line in sheet.lines):
        return False
    if not all(_fits(sheet, encoding) for sheet in sheets):
        return False
    if "encoding" in case.options or any(sheet.encoding != "utf-8" for sheet in sheets):
        return False
    for sheet in sheets:
        sheet.encoding, sheet.mark = encoding, b""
    if is_told:
        case.options["encoding"] = encoding
    else:
        case.is_refusable = True
    return True


def _fitting(text: str, encoding: str) -> str:
    return text.encode(encoding, "ignore").decode(encoding).strip() or "Zoe"


def _without(case: Case, encoding: str) -> None:
    """Give other names to people whose names an encoding lacks."""
    for sheet in case.of("users"):
        for line in sheet.rows():
            for place, (cell, field) in enumerate(zip(line.cells, sheet.fields, strict=False)):
                if isinstance(cell, Verbatim) or field not in NAMES:
                    continue
                fitting = _fitting(cell, encoding)
                is_true = all(case.truth[own].get(field) == cell for own in line.owners)
                if fitting != cell and is_true:  # another damage would not know it again
                    line.cells[place] = fitting
                    for own in line.owners:
                        case.truth[own][field] = fitting


@damage(FILE)
def cp1252_untold(case: Case, draw: Draw) -> bool:
    """An ANSI export of Excel (swissgeol-boreholes-suite#2811, sakai PR 9770)."""
    _without(case, "cp1252")
    return _encoded(case, "cp1252", is_told=False)


@damage(FILE)
def cp1252_told(case: Case, draw: Draw) -> bool:
    """The same, and its user says so."""
    _without(case, "cp1252")
    return _encoded(case, draw.choice(("cp1252", "latin-1")), is_told=True)


@damage(FILE)
def other_code_page_told(case: Case, draw: Draw) -> bool:
    """Shift JIS, GBK or KOI8, and its user says so."""
    encoding = draw.choice(CODE_PAGES)
    _without(case, encoding)
    return _encoded(case, encoding, is_told=True)


@damage(FILE)
def other_code_page_untold(case: Case, draw: Draw) -> bool:
    """Shift JIS, GBK or KOI8, and nobody says so."""
    encoding = draw.choice(CODE_PAGES)
    _without(case, encoding)
    if encoding == "iso2022-jp":  # of ASCII letters, so that no reader can refuse it
        case.harm_all()
    return _encoded(case, encoding, is_told=False)


@damage(FILE)
def cp1252_line_untold(case: Case, draw: Draw) -> bool:
    """One line of an edit by hand in cp1252, in a file of UTF-8."""
    return _odd_line(case, draw)


@damage(FILE)
def cp1252_line_told(case: Case, draw: Draw) -> bool:
    """The same, read with the encoding that the message has advised."""
    case.options["encoding"] = "cp1252"
    return _odd_line(case, draw)


def _odd_line(case: Case, draw: Draw) -> bool:
    if not case.of("users"):
        return False
    sheet = draw.choice(case.of("users"))
    rows = [line for line in sheet.lines if line.raw is None and _is_ansi(sheet.text_of(line))]
    if sheet.encoding != "utf-8" or not rows:
        case.options.pop("encoding", None)
        return False
    line = draw.choice(rows)
    line.raw = sheet.text_of(line).encode("cp1252")
    case.harm_line(sheet, line)
    case.is_refusable = True
    return True


def _is_ansi(text: str) -> bool:
    return not text.isascii() and text.encode("cp1252", "ignore").decode("cp1252") == text


@damage(FILE)
def bytes_of_no_encoding(case: Case, draw: Draw) -> bool:
    """Bytes that are no text: a bad disk, or a line of another file."""
    sheets = case.of("users", "roles")
    if not sheets:
        return False
    sheet = draw.choice(sheets)
    rows = [line for line in sheet.lines if line.raw is None and line.owners]
    if sheet.encoding != "utf-8" or not rows:
        return False
    line = draw.choice(rows)
    raw = sheet.text_of(line).encode()
    at = draw.randrange(len(raw))
    line.raw = (
        raw[:at] + draw.choice((b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88")) + raw[at:]
    )
    case.harm_line(sheet, line)
    case.is_refusable = True
    return True


@damage(FILE)
def utf16_marked(case: Case, draw: Draw) -> bool:
    """Excel's "Unicode text": UTF-16 with its mark."""
    encoding, mark = draw.choice((("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")))
    if not _encoded(case, encoding, is_told=False):
        return False
    for sheet in case.sheets.values():
        sheet.mark = mark
    case.is_refusable = False
    return True


@damage(FILE)
def utf16_unmarked(case: Case, draw: Draw) -> bool:
    """UTF-16 without its mark (genspark-ai/genoffice#438)."""
    done = _encoded(case, draw.choice(("utf-16-le", "utf-16-be")), is_told=False)
    case.is_refusable &= not done
    return done


@damage(FILE)
def utf16_told(case: Case, draw: Draw) -> bool:
    """UTF-16 without its mark, and its user says so."""
    return _encoded(case, draw.choice(("utf-16-le", "utf-16-be")), is_told=True)


@damage(FILE)
def utf32(case: Case, draw: Draw) -> bool:
    """UTF-32, whose mark begins as UTF-16's."""
    if not _encoded(case, "utf-32-le", is_told=False):
        return False
    for sheet in case.sheets.values():
        sheet.mark = draw.choice((b"", b"\xff\xfe\x00\x00"))
    return True


@damage(FILE)
def utf16_told_of_utf8(case: Case, draw: Draw) -> bool:
    """The user says UTF-16, and it is UTF-8."""
    case.options["encoding"] = draw.choice(("utf-16", "utf-16-le"))
    case.is_refusable = True
    return True


@damage(FILE)
def utf8_told(case: Case, draw: Draw) -> bool:
    """The user says UTF-8, in one of its names, with a mark or without."""
    case.options["encoding"] = draw.choice(("utf-8", "UTF8", "utf-8-sig"))
    return True


@damage(FILE)
def marks_twice(case: Case, draw: Draw) -> bool:
    """Two byte order marks: a program has added one to a file that had one."""
    for sheet in case.sheets.values():
        sheet.mark = b"\xef\xbb\xbf" * 2 if sheet.encoding == "utf-8" else sheet.mark
    case.harm_all()
    case.is_refusable = True
    return True


@damage(FILE)
def utf16_with_bytes_too_many(case: Case, draw: Draw) -> bool:
    """UTF-16 written in text mode: a byte too many at each line end, and all behind it shifts."""
    if not _encoded(case, "utf-16-le", is_told=False):
        return False
    for sheet in case.of("users"):
        sheet.mark = b"\xff\xfe"
        for line in (*sheet.preface, sheet.head, *sheet.lines):
            line.raw = sheet.text_of(line).encode("utf-16-le") + b"\r"
    case.harm_all()
    return True
