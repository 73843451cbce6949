import json
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from tests.support.records import wire_user
from tests.support.rosters import (
    child,
    codes,
    csv_text,
    opened,
    read,
    records,
    school,
    users,
    wrong,
)
from timeback_async import Student, User
from timeback_async.errors import ConfigError
from timeback_async.models import Demographics
from timeback_async.sync import Findings
from timeback_async.sync._reading.columns import columns_of
from timeback_async.sync._reading.files import Package
from timeback_async.sync._reading.layout import FileLayout
from timeback_async.sync._reading.rows import Rows
from timeback_async.sync._reading.tables import Table

HEAD = "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,grades"
FULL = "true,school,student,canary,Canary,Canary,05"
NAMED = [child("s-1", givenName="Zoë"), child("s-2")]


def table(*rows: str, head: str = HEAD, end: str = "\n") -> str:
    return end.join((head, *rows, ""))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\r\n", "\n"),
        lambda text: text.replace("\r\n", "\r"),
        lambda text: text.replace("\r\n", "\r\r\n"),
        lambda text: text.removesuffix("\r\n"),
        lambda text: text.replace("\r\n", "\r\n\r\n,,,,\r\n"),
        lambda text: text.replace(",school,", " , school\t,"),
        lambda text: '"' + text.replace(",", '","').replace("\r\n", '"\r\n"').removesuffix('"'),
    ],
    ids=["bom", "lf", "cr", "crcrlf", "no end", "blank rows", "blanks", "all quoted"],
)
def test_the_form_of_a_csv_file_does_not_matter(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    plain = records(read(tmp_path / "plain", school(*NAMED)))
    text = change(csv_text(NAMED))

    roster = read(tmp_path / "changed", school(child()) | {"users.csv": text})

    assert records(roster) == plain
    assert wrong(roster) == []


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_separators_are_understood_and_noted(tmp_path: Path, delimiter: str) -> None:
    text = csv_text([child("s-1", "s-2,s-3")], delimiter)

    roster = read(tmp_path, school(child()) | {"users.csv": text})

    assert codes(roster)["delimiter"] == 1
    assert roster.count.students == 1


def test_bytes_that_are_not_utf_8_are_refused_unless_told_what_they_are(tmp_path: Path) -> None:
    files = school(child()) | {"users.csv": csv_text(NAMED).encode("cp1252")}

    with pytest.raises(ConfigError, match=r"users.csv:2: is not UTF-8; pass its encoding"):
        read(tmp_path, files)
    roster = read(tmp_path, files, encoding="cp1252")
    first = records(roster)["s-1"]
    assert isinstance(first, Student)
    assert first.given_name == "Zoë"
    assert codes(roster) == {"encoding": 1}


def test_utf_8_is_read_as_such_whatever_else_is_told(tmp_path: Path) -> None:
    roster = read(tmp_path, school(*NAMED), encoding="cp1252")

    assert [each.given_name for each in roster.records() if isinstance(each, Student)] == [
        "Zoë",
        "Canarys-2",
    ]
    assert codes(roster) == {}


@pytest.mark.parametrize("name", ["klingon", "hex", "undefined", "a\0b"])
def test_an_encoding_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"encoding: '.*' is not known"):
        opened(users(tmp_path, table()), encoding=name)


@pytest.mark.parametrize("text", ["", "\ufeff", "\n", "a,b\n1,2\n"])
def test_a_users_file_without_ids_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"users.csv: has no column sourcedId"):
        opened(users(tmp_path, text))


@pytest.mark.parametrize("head", ['"', HEAD.replace("grades", '"grades'), f'"{HEAD}'])
def test_a_header_with_a_stray_quote_is_refused(tmp_path: Path, head: str) -> None:
    with pytest.raises(ConfigError, match=r"^users.csv: "):
        opened(users(tmp_path, table(f"s-1,{FULL}", f"s-2,{FULL}", head=head)))


def test_columns_without_a_name_at_the_end_are_no_columns(tmp_path: Path) -> None:
    short, full = f"s-1,{FULL}", f"s-2,{FULL},,"

    roster = opened(users(tmp_path, table(short, full, head=f"{HEAD},,")))

    assert list(records(roster)) == ["s-1", "s-2"]
    assert codes(roster) == {"same-person": 1}


@pytest.mark.parametrize(
    "row",
    [
        f"s-1,{FULL},more",
        "s-1,true",
        "s-1",
        f"s-1,{FULL}".replace("Canary,05", "Ca,na,ry,05"),
        f"s-1,{FULL}".replace("Canary,Canary,05", '"Canary,Canary,05"'),
        f"s-1,{FULL}".replace(",student", ""),
        f"s-1,{FULL}".replace("Canary,Canary,05", "Canary, Jr."),
        f"s-1,{FULL}".replace("canary,", "canary,,") + ",",
    ],
    ids=[
        "longer",
        "shorter",
        "one cell",
        "comma",
        "quotes",
        "cell lost",
        "comma and no grade",
        "cell too much",
    ],
)
def test_a_row_of_another_width_is_left_out_and_named_by_its_line(tmp_path: Path, row: str) -> None:
    roster = opened(users(tmp_path, table(f"s-0,{FULL}", row, f"s-2,{FULL}")))

    assert list(records(roster)) == ["s-0", "s-2"]
    assert wrong(roster) == [
        "row-width users.csv:3: the row does not have as many cells as the header"
    ]
    assert roster.count.left_out == 1
    assert roster.sources["users.csv"].unreadable == 1


WIDE = (
    "sourcedId,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,"
    "identifier,email,sms,phone,agentSourcedIds,grades,password"
)
ROW = "true,school,student,canary,,Canary,Canary,Lee,7,canary@canary.example,,555-0100,,05"


@pytest.mark.parametrize("grade", ["05", ""])
@pytest.mark.parametrize("blank", [1, 3])
def test_blank_cells_that_are_missing_or_too_many_at_the_end_are_blank(
    tmp_path: Path, grade: str, blank: int
) -> None:
    row = f"s-1,{ROW},".replace(",05", f",{grade}")
    other = f"s-2,{ROW},"
    short, long = row.rstrip(","), row + "," * blank

    for text, code in ((short, "row-shorter"), (long, "row-wider")):
        roster = opened(users(tmp_path, table(text, other, head=WIDE)))

        whole = opened(users(tmp_path, table(row, other, head=WIDE)))
        assert records(roster) == records(whole)
        assert codes(roster) == codes(whole) | {code: 1}
        assert [each.split()[0] for each in wrong(roster)] == [code]


@pytest.mark.parametrize("place", range(1, ROW.count(",") + 1))
@pytest.mark.parametrize("is_lost", [False, True], ids=["too much", "lost"])
def test_a_cell_too_much_or_lost_within_a_row_shifts_no_other(
    tmp_path: Path, place: int, is_lost: bool
) -> None:
    cells = f"s-1,{ROW},".split(",")
    if is_lost:
        del cells[place]
    else:
        cells.insert(place, "")
    right = [f"s-{n},{ROW}," for n in (2, 3)]
    whole = opened(users(tmp_path, table(f"s-1,{ROW},", head=WIDE)))

    roster = opened(users(tmp_path, table(right[0], ",".join(cells), right[1], head=WIDE)))

    found = records(roster)
    assert found.pop("s-1", records(whole)["s-1"]) == records(whole)["s-1"]
    assert list(found) == ["s-2", "s-3"]


@pytest.mark.parametrize("field", ["sms", "phone"])
def test_an_e_mail_in_the_column_of_a_telephone_shows_that_cells_are_shifted(
    tmp_path: Path, field: str
) -> None:
    people = [
        child("s-1", **{field: "canary@canary.example"}),
        child("s-2", **{field: "+1 555-0100@text.example"}),
        child("s-3", **{field: "555 0100"}),
    ]

    roster = opened(users(tmp_path, csv_text(people)))

    assert list(records(roster)) == ["s-2", "s-3"]
    assert codes(roster)["row-shifted"] == 1


@pytest.mark.parametrize("row", ["c@canary.example,,555-0100", "c@canary.example,555-0100",
                                 ",o'hara@canary.example,s-1,"])  # fmt: skip
def test_nobody_is_invented_of_a_telephone_or_an_email_in_the_place_of_the_id(
    tmp_path: Path, row: str
) -> None:
    head = "enabledUser,orgSourcedIds,role,username,givenName,familyName,email,sourcedId,phone"
    before = "true,school,student,canary,Canary,Canary"

    roster = opened(users(tmp_path, table(f"{before},,s-2,", f"{before},{row}", head=head)))

    assert list(records(roster)) == ["s-2"]
    assert roster.count.left_out == 1


def test_an_org_in_the_place_of_the_pronouns_is_in_no_column_of_its_own(tmp_path: Path) -> None:
    rows = [f"s-1,{FULL},,S-1,,", f"s-2,{FULL},S-1,they/them,", f"s-3,{FULL},S-1"]
    head = f"{HEAD},primaryOrgSourcedId,pronouns,identifier"

    roster = opened(users(tmp_path, table(*rows, head=head)))

    assert list(records(roster)) == ["s-2", "s-3"]


def test_a_file_that_ends_within_a_row_gives_no_half_of_a_person(tmp_path: Path) -> None:
    text = table(f"s-1,{ROW},", f"s-2,{ROW},", head=WIDE)

    for size in range(text.index("s-2") + 1, text.rindex(",")):
        roster = opened(users(tmp_path, text[:size]))

        assert list(records(roster)) == ["s-1"]
        assert roster.count.left_out == 1


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\n\n"])
def test_a_row_broken_within_its_id_gives_nobody_of_half_an_id(tmp_path: Path, break_: str) -> None:
    head = "enabledUser,orgSourcedIds,role,username,givenName,familyName,sourcedId,phone,identifier"
    row = "true,school,student,canary,Canary,Canary,s-100,555-0100,7"
    cut = row.replace("s-100", f"s-1{break_}00")
    short = row.removesuffix(",555-0100,7").replace("s-100", "s-200")

    for before, after in ((cut, row), (row, cut), (cut, short), (short, cut)):
        roster = opened(users(tmp_path, table(before, after, head=head)))

        assert list(records(roster)) == ["s-200" if short in (before, after) else "s-100"]
        assert codes(roster)["row-width"] == 2

    roster = opened(users(tmp_path, table(short, "true,school,student,canary", row, head=head)))
    assert list(records(roster)) == ["s-200", "s-100"]

    roster = opened(users(tmp_path, table(short, "", head=head)))
    assert list(records(roster)) == ["s-200"]


def test_cells_that_are_not_needed_are_not_even_read(tmp_path: Path) -> None:
    path = users(tmp_path, csv_text([child()]))
    layout = FileLayout("users")
    (file,) = Package(path).files.values()
    table_ = Table(file, None)
    columns = columns_of(layout, table_.header)

    ((line, row),) = Rows("users.csv", "users", table_, columns, layout, Findings())

    assert (line, row["sourcedId"], "password" in row) == (2, "s-1", False)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = users(tmp_path, table(f"s-1,{FULL}"))
    (file,) = Package(path).files.values()
    table_ = Table(file, None)
    path.write_bytes(table("s-1,\xff").encode("latin-1"))

    with pytest.raises(ConfigError, match=r"^users.csv: was changed while it was read"):
        list(table_.rows())


def test_a_separator_at_the_end_of_every_row_is_no_cell(tmp_path: Path) -> None:
    rows = [f"s-{n},{FULL},," for n in (1, 2, 3)]

    roster = opened(users(tmp_path, table(*rows)))

    assert len(records(roster)) == 3
    assert codes(roster) == {"row-wider": 3, "same-person": 1}


BROKEN = [
    ('s-1,true,o,student,c,Canary,Canary,"05', "row-broken"),
    ('"s-1,true,o,student,c,Canary,Canary,05', "row-broken"),
    ('s-1,true,o,student,c,"Canary,Canary,05', "row-broken"),
    ('s-1,true,o,student,c,Canary",Canary,05', "row-broken"),
    ('s-1,true,o,student,c,Canary,Ca"nary,05', "row-broken"),
    ('s-1,true,o,student,c,"Canary "C" Canary",Canary,05', "row-broken"),
    ('s-1,true,o,student,c,"Canary,Canary",05', "row-width"),
    ('s-1,true,o,student,"c,Canary,Canary,05"', "row-width"),
    ('s-1,true,o,student,c,Canary,Canary",05,,', "row-broken"),
    (r"s-1,true,o,student,c,Can\,ary,05", "row-width"),
    (r"s-1,true,o,student,c,Canary,Can\,", "row-width"),
]


@pytest.mark.parametrize(("row", "code"), BROKEN)
@pytest.mark.parametrize("place", [0, 1, 300, 599])
def test_a_stray_quote_costs_its_own_row_alone(
    tmp_path: Path, row: str, code: str, place: int
) -> None:
    rows = [f"t-{n},{FULL}" for n in range(600)]
    rows[place] = row

    roster = opened(users(tmp_path, table(*rows)))

    assert list(records(roster)) == [f"t-{n}" for n in range(600) if n != place]
    assert codes(roster) == {code: 1, "same-person": 1}
    assert [each.line for each in roster.left_out()] == [place + 2]
    assert roster.sources["users.csv"].unreadable == roster.count.left_out == 1


def test_stray_quotes_in_several_rows_cost_those_rows(tmp_path: Path) -> None:
    rows = [f"t-{n},{FULL}" for n in range(60)]
    for n, (row, _) in enumerate(BROKEN):
        rows[5 * n] = row

    roster = opened(users(tmp_path, table(*rows)))

    assert roster.sources["users.csv"].unreadable == len(BROKEN)
    assert roster.count.students == 60 - len(BROKEN)


@pytest.mark.parametrize("field", HEAD.split(",")[1:])
def test_a_line_break_in_a_cell_costs_its_row_and_invents_nobody(
    tmp_path: Path, field: str
) -> None:
    cells = [child(f"s-{n}") for n in range(5)]
    cells[2][field] = f"{cells[2][field]}\n7 Canary Street, 2nd floor\r\nCanary"

    roster = opened(users(tmp_path, csv_text(cells)))

    assert list(records(roster)) == ["s-0", "s-1", "s-3", "s-4"]
    assert [each.line for each in roster.left_out()] == [4, 5, 6]


def test_blanks_around_quotes_are_no_part_of_a_value(tmp_path: Path) -> None:
    row = ", ".join(f'"{cell}" ' for cell in f"s-1,{FULL}".split(","))

    roster = opened(users(tmp_path, table(row, f"s-2,{FULL}")))

    one, two = records(roster).values()
    assert isinstance(one, Student)
    assert isinstance(two, Student)
    assert (one.given_name, one.family_name) == (two.given_name, two.family_name)


def test_a_cell_beyond_all_measure_is_no_csv(tmp_path: Path) -> None:
    huge = f"s-1,{FULL}".replace("Canary,Canary", f"Canary,{'Canary' * 30_000}")

    roster = opened(users(tmp_path, table(huge, f"s-2,{FULL}")))

    assert list(records(roster)) == ["s-2"]
    assert codes(roster) == {"row-broken": 1}


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    rows = ["", f'"s-1",{FULL}', ",,,", f"s-2,{FULL.replace('05', '99')}", "short"]

    roster = opened(users(tmp_path, table(*rows)))

    assert [finding.split(":")[1] for finding in wrong(roster)] == ["6", "5"]


@pytest.mark.parametrize(
    ("before", "delimiter", "code"),
    [
        ("sep=,", ",", "before-header"),
        ("sep=;", ";", "before-header"),
        ('"sep=;"', ";", "before-header"),
        ("SEP=\t", "\t", "before-header"),
        ("sep=^", "^", "before-header"),
        ("", ",", "before-header"),
        (",,,,", ",", "before-header"),
        ('"",""', ",", "before-header"),
        ("\n\nStudents of the Canary School,,,\n", ",", "before-header"),
        (None, "|", "delimiter"),
    ],
)
def test_what_stands_before_the_header_is_skipped(
    tmp_path: Path, before: str | None, delimiter: str, code: str
) -> None:
    lines = [table(f"s-1,{FULL}", f"s-2,{FULL}").replace(",", delimiter)]
    if before is not None:
        lines.insert(0, before)

    roster = opened(users(tmp_path, "\ufeff" + "\n".join(lines)))

    assert list(records(roster)) == ["s-1", "s-2"]
    assert codes(roster)[code] == 1
    assert wrong(roster) == []


def test_a_line_is_named_by_its_place_in_the_file_whatever_stands_before(tmp_path: Path) -> None:
    roster = opened(users(tmp_path, "sep=,\n\n" + table(f"s-1,{FULL}", "s-2,maybe")))

    assert [each.line for each in roster.left_out()] == [5]


def test_columns_without_a_name_before_others_are_skipped(tmp_path: Path) -> None:
    roster = opened(users(tmp_path, table(f",,s-1,{FULL}", f"1,,s-2,{FULL}", head=f",,{HEAD}")))

    assert list(records(roster)) == ["s-1", "s-2"]
    assert codes(roster) == {"column-nameless": 1, "same-person": 1}


@pytest.mark.parametrize(
    "line",
    [
        "(2 rows affected)",
        "2 rows selected.",
        "(2 rows affected),,,,,,,",
        "Total: 2",
        "Total,2",
        "--- end of report ---",
        "EOF",
        "\x1a",
        "\0\0\0",
        HEAD,
        "-----,-----,-----,-----,-----,-----,-----,-----",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_footer_a_ruler_or_a_second_header_is_no_row(
    tmp_path: Path, line: str, place: int
) -> None:
    rows = [f"s-1,{FULL}", f"s-2,{FULL}"]
    rows.insert(place, line)

    roster = opened(users(tmp_path, table(*rows)))

    assert list(records(roster)) == ["s-1", "s-2"]
    assert codes(roster) == {"row-no-record": 1, "same-person": 1}
    assert (roster.count.left_out, roster.sources["users.csv"].unreadable) == (0, 0)


# -- Parquet


def parquet(path: Path, columns: dict[str, list[Any]]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as files

    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_table(pyarrow.table(columns), path)
    return path


COLUMNS: dict[str, list[Any]] = {
    "sourcedId": ["s-1", "u-1"],
    "enabledUser": [True, False],
    "orgSourcedIds": [["school"], ["school"]],
    "role": ["student", "parent"],
    "username": ["canary", None],
    "givenName": ["Canary", "Canary"],
    "familyName": ["Canary", "Canary"],
    "agentSourcedIds": [["u-1"], None],
    "grades": [[5], None],
}


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    parquet(tmp_path / "roster" / "users.parquet", COLUMNS)

    roster = opened(tmp_path / "roster")

    assert list(records(roster)) == ["s-1", "u-1", "s-1+u-1"]
    assert roster.count[:4] == (1, 1, 1, 0)


def test_a_row_of_nothing_in_parquet_is_no_row(tmp_path: Path) -> None:
    columns = {name: [cells[0], None, cells[1]] for name, cells in COLUMNS.items()}

    roster = opened(parquet(tmp_path / "users.parquet", columns))

    assert list(records(roster)) == ["s-1", "u-1", "s-1+u-1"]
    assert (roster.count.rows, roster.count.left_out) == (2, 0)


def test_dates_and_times_of_parquet_are_dates(tmp_path: Path) -> None:
    births = {"sourcedId": ["s-1", "s-2"]}
    folder = tmp_path / "roster"
    parquet(folder / "demographics.parquet", births | {"birthDate": [date(2010, 4, 1)] * 2})
    parquet(
        folder / "users.parquet",
        {name: [values[0]] * 2 for name, values in COLUMNS.items()}
        | births
        | {"dateLastModified": [datetime(2024, 1, 1)] * 2},  # noqa: DTZ001 - as Parquet has it
    )

    (found, _) = opened(folder).records()

    assert isinstance(found, Student)
    assert found.demographics == Demographics(date(2010, 4, 1))


def test_numbers_of_parquet_are_what_they_were_before_a_gap_made_them_fractions(
    tmp_path: Path,
) -> None:
    columns = COLUMNS | {"sourcedId": [7.0, 8.0], "identifier": [float("nan"), 12.0]}
    columns["agentSourcedIds"] = [None, None]

    roster = opened(parquet(tmp_path / "users.parquet", columns))

    first, second = roster.records()
    assert isinstance(first, Student)
    assert isinstance(second, User)
    assert (first.sourced_id, first.identifier) == ("7", UNSET)
    assert (second.sourced_id, second.identifier) == ("8", "12")


@pytest.mark.parametrize(
    "cells",
    [[b"Canary", b""], [{"name": "Canary"}, None], [[b"Canary"], None], [1.5, 2.0], [2.0**60, 1.0]],
    ids=["bytes", "struct", "list", "fraction", "lost digits"],
)
def test_a_cell_of_parquet_that_no_text_could_say_leaves_its_row_out(
    tmp_path: Path, cells: list[Any]
) -> None:
    path = parquet(tmp_path / "users.parquet", COLUMNS | {"identifier": cells})

    found = opened(path)

    assert "cell-type" in codes(found)
    assert "s-1" not in records(found)


@pytest.mark.parametrize("kind", ["date", "text", "time"])
def test_a_value_that_python_cannot_hold_leaves_its_row_out(tmp_path: Path, kind: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    odd = {
        "date": pyarrow.array([6_600_000, 1], pyarrow.int32()).view(pyarrow.date32()),
        "text": pyarrow.array([b"\xff", b"a"]).view(pyarrow.string()),
        "time": pyarrow.array([2**62, 0], pyarrow.int64()).view(pyarrow.timestamp("us")),
    }[kind]

    path = parquet(tmp_path / "users.parquet", COLUMNS | {"identifier": odd})

    assert codes(opened(path))["cell-type"] == 1
    assert [*records(opened(path))] == ["u-1"]


def test_a_line_of_an_export_that_is_not_utf_8_costs_itself_alone(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    lines = [json.dumps({"user": wire_user("u-1")}).encode(), b'{"user": \xff}', None]
    texts = pyarrow.array(lines, pyarrow.binary()).view(pyarrow.string())
    columns = {"kind": ["user"] * 3, "sourcedId": ["u-1", "u-2", "u-3"], "record": texts}

    roster = opened(parquet(tmp_path / "out.parquet", columns))

    assert [*records(roster)] == ["u-1"]
    assert codes(roster)["json-broken"] == 1


@pytest.mark.parametrize(
    "cells",
    [[{"name": "Canary"}] * 2, [b"Canary"] * 2, [1.5, 2.5]],
    ids=["struct", "bytes", "float"],
)
def test_a_column_that_is_not_read_leaves_out_no_row(tmp_path: Path, cells: list[Any]) -> None:
    roster = opened(parquet(tmp_path / "users.parquet", COLUMNS | {"photo": cells}))

    assert roster.count[:4] == (1, 1, 1, 0)
    assert "cell-type" not in codes(roster)


@pytest.mark.parametrize(
    ("type_", "first_doubtful"), [("halffloat", 2**11), ("float", 2**24), ("double", 2**53)]
)
@pytest.mark.parametrize("is_list", [False, True])
def test_a_number_that_may_have_lost_digits_leaves_its_row_out(
    tmp_path: Path, type_: str, first_doubtful: int, is_list: bool
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    numbers = [[float(n)] if is_list else float(n) for n in (first_doubtful, first_doubtful - 1)]
    kind = pyarrow.type_for_alias(type_)
    cells = pyarrow.array(numbers, pyarrow.list_(kind) if is_list else kind)

    roster = opened(parquet(tmp_path / "users.parquet", COLUMNS | {"identifier": cells}))

    assert codes(roster)["cell-type"] == 1
    (found,) = roster.records()
    assert isinstance(found, User)
    assert found.identifier == str(first_doubtful - 1)


def test_parquet_with_damaged_pages_is_refused(tmp_path: Path) -> None:
    many = {name: values * 2000 for name, values in COLUMNS.items()}
    path = parquet(tmp_path / "users.parquet", many)
    content = bytearray(path.read_bytes())
    content[60:600] = bytes(each ^ 0x55 for each in content[60:600])
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"^users.parquet: is not Parquet \(OSError\)"):
        opened(path)


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")

    with pytest.raises(ConfigError, match=r"users.parquet: is not Parquet \(ArrowInvalid\)"):
        opened(users(tmp_path, "Canary", "users.parquet"))


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigError, match=r"pip install 'timeback-async\[parquet\]'"):
        opened(users(tmp_path, "x", "users.parquet"))


def test_files_of_several_kinds_make_one_package(tmp_path: Path) -> None:
    parquet(tmp_path / "roster" / "orgs.parquet", {"sourcedId": ["school"], "type": ["school"]})
    (tmp_path / "roster" / "users.csv").write_text(csv_text([child()]))

    assert wrong(opened(tmp_path / "roster")) == []
