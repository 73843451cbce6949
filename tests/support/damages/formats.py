"""Damages by other programs' formats: tables of reports, and what is no table at all."""

import html
import json

from tests.support.damages.case import Case
from tests.support.damages.catalogue import FILE, TEXT, Draw, damage
from tests.support.damages.files import Sheet, noise
from tests.support.damages.packages import drop, without

PEOPLE = ("users", "roles")


def _table(case: Case, draw: Draw, mark: str, edge: str, ruler: str, end: str) -> bool:
    """Write a file as a table to look at: it need not be read, but what is read has to be right."""
    sheet = draw.choice(case.of(*PEOPLE))
    widths = {len(line.cells) for line in (sheet.head, *sheet.lines)}
    if len(sheet.rows()) < len(sheet.lines) or len(widths) > 1:
        return False
    every = [line.cells for line in (sheet.head, *sheet.lines)]
    sizes = [max(map(len, column)) for column in zip(*every, strict=True)]
    for line in (sheet.head, *sheet.lines):
        cells = [cell.ljust(size) for cell, size in zip(line.cells, sizes, strict=True)]
        line.text = f"{edge}{mark.join(cells)}{edge[::-1]}"
        case.harm_line(sheet, line)
    rule = "+".join("-" * (width + 2) for width in sizes)
    sheet.lines.insert(0, noise(ruler.format(rule.replace("+", ruler[:1] or "+"))))
    sheet.lines += [noise(end.format(n=len(sheet.lines) - 1))] * bool(end)
    sheet.has_last_end = True
    case.harm_all()
    case.is_refusable = True
    return True


@damage(TEXT)
def table_of_psql(case: Case, draw: Draw) -> bool:
    """What psql shows: pipes with blanks, a ruler, and a count below."""
    return _table(case, draw, " | ", "", "{}", "({n} rows)")


@damage(TEXT)
def table_of_markdown(case: Case, draw: Draw) -> bool:
    """A table of Markdown, pasted from a chat or a wiki."""
    return _table(case, draw, " | ", "| ", "|{}|", "")


@damage(TEXT)
def table_of_fixed_width(case: Case, draw: Draw) -> bool:
    """What sqlcmd shows: columns of fixed width, with nothing but blanks between them."""
    return _table(case, draw, " ", "", "{}", draw.choice(("", "({n} rows affected)")))


@damage(FILE)
def file_in_another_format(case: Case, draw: Draw) -> bool:
    """JSON, HTML, XML, YAML or SQL under the name of a CSV."""
    form = draw.choice((_as_json, _as_json_lines, _as_html, _as_xml, _as_yaml, _as_sql))

    def replace(sheet: Sheet) -> None:
        rows = [dict(zip(sheet.head.cells, each.cells, strict=False)) for each in sheet.rows()]
        case.others[sheet.name] = form(rows).encode()
        drop(case, sheet)

    return without(case, draw, replace)


Rows = list[dict[str, str]]


def _as_json(rows: Rows) -> str:
    return json.dumps({"users": rows}, indent=2)


def _as_json_lines(rows: Rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _as_html(rows: Rows) -> str:
    cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row.values()) for row in rows]
    lines = [f"<tr>{each}</tr>" for each in cells]
    return "\r\n".join(["<html><body><table>", *lines, "</table></body></html>"])


def _as_xml(rows: Rows) -> str:
    lines = ["<?xml version='1.0'?>", "<users>"]
    for row in rows:
        lines += ["<user>", *(f"<field>{html.escape(c)}</field>" for c in row.values()), "</user>"]
    return "\n".join([*lines, "</users>"])


def _as_yaml(rows: Rows) -> str:
    lines = ["---"]
    for row in rows:
        lines += [
            f"{'- ' if n == 0 else '  '}{name}: {cell}"
            for n, (name, cell) in enumerate(row.items())
        ]
    return "\n".join(lines)


def _as_sql(rows: Rows) -> str:
    values = [", ".join(map(repr, row.values())) for row in rows]
    return "INSERT INTO users VALUES\n" + ",\n".join(f"({each})" for each in values) + ";\n"


@damage(TEXT)
def conflict_markers(case: Case, draw: Draw) -> bool:
    """Two versions of a row, and the marks of git around them."""
    sheet = draw.choice(case.of("users"))
    rows = sheet.rows()
    if not rows:
        return False
    line = draw.choice(rows)
    other = line.copy()
    place = sheet.fields.index("familyName")
    if place < len(other.cells):
        other.cells[place] = "Merged"
    at = sheet.lines.index(line)
    marks = [noise(text) for text in ("<<<<<<< HEAD", "=======", ">>>>>>> 1a2b3c4 (import)")]
    sheet.lines[at : at + 1] = [marks[0], line, marks[1], other, marks[2]]
    for each in (line, other):
        case.harm_line(sheet, each)
    return True


@damage(TEXT, is_alone=True)
def ten_thousand_lines(case: Case, draw: Draw) -> bool:
    """A stray quote far below, so that the numbers of lines are long."""
    sheet = draw.choice(case.of("users"))
    rows = sheet.rows()
    if not rows or "delta" in case.kind:  # it takes its time
        return False
    line = draw.choice(rows)
    line.text = sheet.text_of(line) + '"'
    case.harm_line(sheet, line)
    at = sheet.lines.index(line)
    sheet.lines[at:at] = [noise(sheet.delimiter) for _ in range(10_000)]
    return True
