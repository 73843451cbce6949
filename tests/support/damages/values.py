"""Damages of values with a form or a vocabulary: dates, booleans, roles, grades."""

import datetime
from collections.abc import Callable

from tests.support.damages.case import Case
from tests.support.damages.catalogue import CELL, Draw, cells_of, damage


def change(
    case: Case, draw: Draw, fields: tuple[str, ...], change: Callable[[str], str], *,
    is_certain: bool = False, is_lost: bool = False, targets: tuple[str, ...] = ("users",),
    is_filled: bool = True, fits: Callable[[str], bool] = lambda cell: True,
) -> bool:  # fmt: skip
    """Change cells of one column; each value may be lost, unless it is certain what was meant."""
    harm = case.harm_lost if is_lost else case.harm_cell
    chosen = cells_of(case, draw, *fields, targets=targets, is_filled=is_filled, fits=fits)
    for sheet, line, place, field in chosen:
        line.cells[place] = change(line.cells[place])
        if not is_certain:
            harm(sheet, line, field)
    return bool(chosen)


# -- dates


def _born(
    case: Case, draw: Draw, form: Callable[[datetime.date], str], *, certain: bool = False
) -> dict[str, datetime.date]:
    """Write birth dates in a form; return whose, and the dates."""
    chosen = cells_of(case, draw, "birthDate", targets=("users", "demographics"))
    born = {}
    for _, line, place, _ in chosen:
        (own,) = line.owners
        born[own] = datetime.date.fromisoformat(case.truth[own]["birthDate"])
        line.cells[place] = form(born[own])
        if not certain:
            case.harm(own, "birthDate")
    return born


@damage(CELL)
def date_of_nothing(case: Case, draw: Draw) -> bool:
    """`0000-00-00`, `1900-01-00`: zero, as MySQL and Excel write it (gbif/ipt#1119)."""
    zeros = ("0000-00-00", "1900-01-00", "1/0/1900", "00/00/0000", "0000-00-00 00:00:00", "0",
             "1899-12-30", "0001-01-01", "1900-01-01", "9999-12-31", "1753-01-01")  # fmt: skip
    return bool(_born(case, draw, lambda day: draw.choice(zeros)))


@damage(CELL)
def date_as_a_number(case: Case, draw: Draw) -> bool:
    """`40275`: the day's number in a spreadsheet, or seconds (aces/Loris#8144)."""
    form, times = draw.choice((("{}", 1), ("{}.0", 1), ("{}", 86400)))
    first = datetime.date(1899, 12, 30)
    return bool(_born(case, draw, lambda day: form.format((day - first).days * times)))


@damage(CELL)
def date_ambiguous(case: Case, draw: Draw) -> bool:
    """`4/2/2010` or `04.02.10`: day and month, or month and day (Excel)."""
    form = draw.choice(
        ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%y-%m-%d")
    )
    born = _born(case, draw, lambda day: day.strftime(form))
    if case.kind == "SDS v1" and form == "%d/%m/%Y" and all(day.day < 13 for day in born.values()):
        for own, day in born.items():  # the format says that the month comes first
            case.truth[own]["birthDate"] = day.strftime("%Y-%d-%m")
    return bool(born)


@damage(CELL)
def date_that_never_was(case: Case, draw: Draw) -> bool:
    """31 February, month 13, and dates with letters."""
    words = ("2010-02-31", "2010-13-01", "2010-02", "2010", "31/02/2010", "unknown", "2010-O4-01",
             "10 years")  # fmt: skip
    return bool(_born(case, draw, lambda day: draw.choice(words)))


@damage(CELL)
def date_with_time(case: Case, draw: Draw) -> bool:
    """A date with midnight behind it (SQL Server, ISO 8601)."""
    form = draw.choice(
        (
            "%Y-%m-%dT00:00:00.000Z",
            "%Y-%m-%d 00:00:00",
            "%Y-%m-%dT00:00:00",
            "%Y-%m-%d 00:00:00.000",
        )
    )
    return bool(_born(case, draw, lambda day: day.strftime(form), certain=True))


@damage(CELL)
def date_year_first(case: Case, draw: Draw) -> bool:
    """`2010/4/7`, `20100407`: other forms that are not ambiguous (Excel, SAP)."""
    month = draw.choice(("{0}/{1}/{2}", "{0}/{1:02}/{2:02}", "{0}{1:02}{2:02}", "{0}-{1}-{2}"))
    return bool(
        _born(case, draw, lambda day: month.format(day.year, day.month, day.day), certain=True)
    )


@damage(CELL)
def date_with_words(case: Case, draw: Draw) -> bool:
    """`7 Apr 2010`, `2010年4月7日`: months by name, and forms of other countries."""
    form = draw.choice(
        ("%d %b %Y", "%B %d, %Y", "%d-%b-%y", "%Y年%m月%d日", "%a %b %d 00:00:00 UTC %Y", "%Y-%j")
    )
    return bool(_born(case, draw, lambda day: day.strftime(form)))


# -- words of a vocabulary


@damage(CELL)
def boolean_known(case: Case, draw: Draw) -> bool:
    """`TRUE`, `1`, `Yes`: booleans of spreadsheets."""
    pair = draw.choice(
        (("FALSE", "TRUE"), ("0", "1"), ("False", "True"), ("no", "Yes"), ("N", "Y"))
    )
    return change(
        case, draw, ("enabledUser",), lambda text: pair[text == "true"], is_certain=True,
        fits=("true", "false").__contains__,
    )  # fmt: skip


@damage(CELL)
def boolean_foreign(case: Case, draw: Draw) -> bool:
    """`WAHR`, `on`, `-1`: booleans of other languages and programs."""
    pair = draw.choice(
        (
            ("FALSCH", "WAHR"),
            ("FAUX", "VRAI"),
            ("off", "on"),
            ("f", "t"),
            ("0", "-1"),
            ("disabled", "enabled"),
            ("", "x"),
            ("0.0", "1.0"),
            ("False;", "True;"),
        )
    )
    return change(case, draw, ("enabledUser",), lambda text: pair[text == "true"])


@damage(CELL)
def role_in_another_case(case: Case, draw: Draw) -> bool:
    """`STUDENT`, `Teacher` (rjeike, catalyst)."""
    how = draw.choice((str.upper, str.title, str.lower))
    return change(case, draw, ("role",), how, targets=("users", "roles"), is_certain=True)


@damage(CELL)
def role_of_another_language(case: Case, draw: Draw) -> bool:
    """`Schüler`, `élève`, `S`, `mother`: roles that are not OneRoster's."""
    words = (
        "Schüler",
        "élève",
        "alumno",
        "生徒",
        "S",
        "T",
        "1",
        "mother",
        "pupil",
        "student,teacher",
        "ext:coach",
        "staff",
        "Student (former)",
        "parent/guardian",
    )
    return change(
        case, draw, ("role",), lambda text: draw.choice(words), targets=("users", "roles")
    )


@damage(CELL)
def status_unknown(case: Case, draw: Draw) -> bool:
    """`enrolled`, `A`, `1`: statuses that are not OneRoster's (rjeike)."""
    words = (
        "enrolled",
        "A",
        "1",
        "true",
        "withdrawn",
        "deleted",
        "current",
        "to be deleted",
        "act",
    )
    return change(
        case, draw, ("status",), lambda text: draw.choice(words), is_filled=draw.random() < 0.5,
        targets=("users", "roles"),
    )  # fmt: skip


@damage(CELL)
def status_in_another_case(case: Case, draw: Draw) -> bool:
    """`Active`, `ACTIVE`."""
    return change(
        case, draw, ("status",), lambda text: draw.choice(("Active", "ACTIVE")), is_certain=True,
        targets=("users", "roles"), fits="active".__eq__,
    )  # fmt: skip


@damage(CELL)
def status_inactive(case: Case, draw: Draw) -> bool:
    """`inactive`, of OneRoster 1.0: the file says so, and TimeBack takes it."""
    chosen = cells_of(case, draw, "status")
    for _, line, place, _ in chosen:
        line.cells[place] = draw.choice(("inactive", "Inactive"))
        for own in line.owners:
            case.truth[own]["status"] = "inactive"
    return bool(chosen)


@damage(CELL)
def grade_known(case: Case, draw: Draw) -> bool:
    """`9.0`, `9`, `kg`: grades whose meaning is certain (Blackbaud, pandas)."""
    names = {"KG": ("kg", "k", "Kindergarten"), "PK": ("pk", "prekindergarten")}

    def other(text: str) -> str:
        if not text.isdigit():
            return draw.choice(names[text])
        return draw.choice((text.lstrip("0"), f"{int(text)}.0", text.zfill(2)))

    return change(
        case, draw, ("grades", "grade"), other, targets=("users", "roles"), is_certain=True,
        fits=lambda cell: cell.isdigit() or cell in names,
    )  # fmt: skip


@damage(CELL)
def grade_unknown(case: Case, draw: Draw) -> bool:
    """`9th grade`, `Year 9`: grades of other vocabularies."""
    words = (
        "9th",
        "Grade 9",
        "Year 9",
        "1-Sep",
        "9-10",
        "Freshman",
        "CM1",
        "99",
        "-1",
    )
    return change(
        case, draw, ("grades", "grade"), lambda text: draw.choice(words), targets=("users", "roles")
    )


@damage(CELL)
def role_type_odd(case: Case, draw: Draw) -> bool:
    """`Primary`, `PRIMARY`, `1`: the kind of a role, in other words."""
    words = ("Primary", "PRIMARY", "1", "main", "true", "yes")
    return change(
        case, draw, ("roleType",), lambda text: draw.choice(words), targets=("roles",),
        fits=lambda cell: cell != "secondary",
    )  # fmt: skip


@damage(CELL)
def grade_with_decimal_comma(case: Case, draw: Draw) -> bool:
    """`9,0`: a number of a spreadsheet in much of Europe."""
    form = draw.choice(("{},0", "{},00"))
    return change(
        case, draw, ("grades", "grade"), form.format, targets=("users", "roles"),
        fits=str.isdigit,
    )  # fmt: skip
