"""Damages of lists: the notations in which databases, languages and people write several ids."""

import json
from collections.abc import Callable

from tests.support.damages.case import Case
from tests.support.damages.catalogue import ROW, Draw, cells_of, damage
from tests.support.damages.files import Verbatim

FIELDS = ("agentSourcedIds", "agentSourcedIds", "orgSourcedIds", "grades")


def _write(
    case: Case,
    draw: Draw,
    form: Callable[[list[str]], str],
    *,
    is_read: bool = False,
    least: int = 1,
    is_number: bool = False,
) -> bool:
    """Write lists in another notation; each must be read if we promise that, else told of."""

    def fits(cell: str) -> bool:
        return cell.count(",") >= least - 1 and (not is_number or cell.replace(",", "").isdigit())

    chosen = cells_of(case, draw, *FIELDS, fits=fits)
    for sheet, line, place, field in chosen:
        line.cells[place] = form(line.cells[place].split(","))
        if not is_read:
            case.harm_cell(sheet, line, field)
    return bool(chosen)


@damage(ROW)
def list_of_python(case: Case, draw: Draw) -> bool:
    """`['p1', 'p2']`, as pandas writes lists (pandas#10813, huggingface/datasets#6778)."""
    return _write(case, draw, repr, is_read=True)


@damage(ROW)
def list_as_tuple_or_set(case: Case, draw: Draw) -> bool:
    """`('p1', 'p2')` and `{'p1', 'p2'}`, of Python."""
    if draw.random() < 0.5:
        return _write(case, draw, lambda parts: repr(tuple(parts)), is_read=True)
    return _write(case, draw, lambda parts: f"{{{repr(parts)[1:-1]}}}", is_read=True)


@damage(ROW)
def list_of_json(case: Case, draw: Draw) -> bool:
    """`["p1", "p2"]`, of JSON."""
    return _write(case, draw, json.dumps, is_read=True)


@damage(ROW)
def list_of_json_objects(case: Case, draw: Draw) -> bool:
    """`[{"sourcedId": "p1"}]`, as the REST binding writes references."""

    def form(parts: list[str]) -> str:
        return json.dumps([{"href": "", "sourcedId": part, "type": "user"} for part in parts])

    if draw.random() < 0.5:
        return _write(case, draw, form, is_read=True)
    return _write(
        case, draw, lambda parts: json.dumps([{"sourcedId": p} for p in parts]), is_read=True
    )


@damage(ROW)
def list_of_json_with_null(case: Case, draw: Draw) -> bool:
    """`["p1", null]`: an outer join, aggregated (azuredatastudio#17451)."""
    return _write(case, draw, lambda parts: json.dumps([*parts, None]), is_read=True)


@damage(ROW)
def list_of_json_numbers(case: Case, draw: Draw) -> bool:
    """`[123, 456]`, or `[123.0]`: numbers, whose leading zeros are lost."""
    mark = draw.choice(("", ".0"))
    case.orgs |= {org.lstrip("0") or "0" for org in case.orgs}  # where no file lists them
    return _write(
        case,
        draw,
        lambda parts: "[" + ", ".join(f"{part.lstrip('0') or 0}{mark}" for part in parts) + "]",
        is_number=True,
    )


@damage(ROW)
def list_of_postgres(case: Case, draw: Draw) -> bool:
    """`{p1,p2}`, as COPY writes an array."""
    return _write(case, draw, lambda parts: "{" + ",".join(parts) + "}", is_read=True)


@damage(ROW)
def list_of_postgres_quoted(case: Case, draw: Draw) -> bool:
    """`{"p1","p2"}`, as COPY writes an array of texts with odd letters."""
    return _write(case, draw, lambda parts: '{"' + '","'.join(parts) + '"}', is_read=True)


@damage(ROW)
def list_with_semicolons(case: Case, draw: Draw) -> bool:
    """`p1;p2`, `p1 | p2`: another separator."""
    mark = draw.choice((";", "; ", "|", " | "))
    return _write(case, draw, mark.join, is_read=True, least=2)


@damage(ROW)
def list_with_blanks(case: Case, draw: Draw) -> bool:
    """`p1 p2`, `p1 & p2`, `p1 and p2`: separators of people."""
    mark = draw.choice((" ", " & ", " and ", " + ", " / ", "\t", "::", "^", "~"))
    return _write(case, draw, mark.join, least=2)


@damage(ROW)
def list_with_line_breaks(case: Case, draw: Draw) -> bool:
    """One id a line in a quoted cell, as Alt+Enter makes it."""
    chosen = cells_of(case, draw, *FIELDS, most=1, fits=lambda cell: "," in cell)[:1]
    for sheet, line, place, _ in chosen:
        parts = line.cells[place].split(",")
        line.cells[place] = Verbatim('"' + draw.choice(("\n", ",\n")).join(parts) + '"')
        case.harm_line(sheet, line)
    return bool(chosen)


@damage(ROW)
def list_with_commas_around(case: Case, draw: Draw) -> bool:
    """`p1,,p2, `: blank elements, which mean nothing."""
    form = draw.choice(("{},", ",{}", " , {} , ", "{},,"))
    return _write(case, draw, lambda parts: form.format(" ,".join(parts)), is_read=True)


@damage(ROW)
def list_doubled(case: Case, draw: Draw) -> bool:
    """The same id twice in a list, after a join."""
    return _write(case, draw, lambda parts: ",".join([*parts, *parts]), is_read=True)


@damage(ROW)
def list_of_quoted(case: Case, draw: Draw) -> bool:
    """`"p1","p2"`: quotes around each element, within the cell."""
    mark = draw.choice(('"', "'"))
    return _write(
        case, draw, lambda parts: ",".join(f"{mark}{part}{mark}" for part in parts), is_read=False
    )


@damage(ROW)
def list_of_numpy(case: Case, draw: Draw) -> bool:
    """`['p1' 'p2']`, as numpy prints arrays."""
    return _write(case, draw, lambda parts: "[" + " ".join(map(repr, parts)) + "]")


@damage(ROW)
def list_of_numpy_reprs(case: Case, draw: Draw) -> bool:
    """`array(['p1'], dtype=object)`, as pandas prints arrays in cells."""
    return _write(case, draw, lambda parts: f"array({parts!r}, dtype=object)")


@damage(ROW)
def list_of_php(case: Case, draw: Draw) -> bool:
    """`a:1:{i:0;s:2:"p1";}`, PHP's serialisation, or what print_r writes."""

    def form(parts: list[str]) -> str:
        each = "".join(f'i:{n};s:{len(part)}:"{part}";' for n, part in enumerate(parts))
        return f"a:{len(parts)}:{{{each}}}"

    return _write(case, draw, form)


@damage(ROW)
def list_of_sharepoint(case: Case, draw: Draw) -> bool:
    """`1;#p1;#2;#p2`: a look-up column of SharePoint."""
    return _write(
        case, draw, lambda parts: ";#".join(f"{n};#{part}" for n, part in enumerate(parts, 1))
    )


@damage(ROW)
def list_of_xml(case: Case, draw: Draw) -> bool:
    """`<id>p1</id>`: XML in a cell, or a YAML list."""
    if draw.random() < 0.5:
        return _write(case, draw, lambda parts: "".join(f"<id>{part}</id>" for part in parts))
    return _write(case, draw, lambda parts: " ".join(f"- {part}" for part in parts))


@damage(ROW)
def list_of_types(case: Case, draw: Draw) -> bool:
    """`{user:p1},{user:p2}`, the notation of userIds, or `user:p1`."""
    form = draw.choice(("{{user:{}}}", "user:{}", "{} (mother)", "{}=parent"))
    return _write(case, draw, lambda parts: ",".join(map(form.format, parts)))


@damage(ROW)
def list_cut_off(case: Case, draw: Draw) -> bool:
    """`["p1","p`: a list longer than its column in the database."""
    return _write(case, draw, lambda parts: draw.choice((json.dumps, repr))(parts)[:-2])


@damage(ROW)
def list_empty(case: Case, draw: Draw) -> bool:
    """`[]`, `{}`, `[null]`, `[""]`: lists of nobody in place of blank cells."""
    words = ("[]", "{}", "()", "[null]", '[""]', "[ ]", "set()", ",", "[None]", "['']", "{NULL}")
    chosen = cells_of(case, draw, "agentSourcedIds", is_filled=False)
    for _, line, place, _ in chosen:
        line.cells[place] = draw.choice(words)
    return bool(chosen)
