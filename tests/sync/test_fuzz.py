"""Damage whatever way: a finding or a right record, never a wrong one, never a traceback."""

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.amounts import amount
from tests.support.records import link, student, user
from tests.support.rosters import adult, child, csv_text, opened, records, school
from timeback_async import AgentLink
from timeback_async.errors import ConfigError
from timeback_async.models.ids import path_segment

# Every cell says whose it is, and in which column it belongs.
PEOPLE = [
    *(
        child(
            f"s-{n}",
            f"u-{n},u-{n % 3}",
            orgSourcedIds=f"org{n}",
            givenName=f"Given{n}",
            familyName=f"Family{n}",
            email=f"Email{n}",
            password="",
        )
        for n in range(5)
    ),
    *(adult(f"u-{n}", givenName=f"Given{n}", familyName=f"Family{n}", email="") for n in range(5)),
]
ROSTER = school(*PEOPLE, demographics=[{"sourcedId": "s-1", "birthDate": "2010-04-01"}])
USERS = csv_text(PEOPLE).encode()
COLUMNS = ["sourcedId", "givenName", "familyName", "role", "orgSourcedIds", "enabledUser",
           "username", "agentSourcedIds", "userIds", "grades"]  # fmt: skip
CELLS = ["", "s-1", "u-1", "student", "parent", "true", "o", "[", "{a:b}", '["\\ud800"]',
         "1/2/2010", "\x00", "🙂", "..", "05", "u-1,s-1"]  # fmt: skip
HEAD = USERS.index(b"\n") + 1
LINES = b"".join(
    msgspec.json.encode({kind: record}) + b"\n"
    for kind, record in (
        ("student", student()),
        ("user", user()),
        ("agent", link()),
        ("student", student("s-2", given_name="Canary")),
    )
)


def found_in(name: str, content: bytes, **options: Any) -> dict[str, Any]:
    """Return the records of a damaged file, or none where it is refused as a whole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            roster = opened(path, **options)
        except ConfigError:
            return {}
        found = records(roster)
        roster.close()
        return found


RIGHT = found_in("users.csv", USERS)
RIGHT_LINES = found_in("records.jsonl", LINES)
structure = st.sampled_from([b",", b'"', b'""', b",,", b"\n", b"\r\n", b'"\n', b',"', b'",', b"\r"])
place = st.integers(0, len(USERS))


def test_the_undamaged_files_are_whole() -> None:
    assert len(RIGHT) == 10 + 7
    assert len(RIGHT_LINES) == 4


@given(place, place)
@settings(max_examples=amount(75, long=150), deadline=None)
def test_a_csv_with_a_part_cut_out_of_a_line_gives_right_records_or_none(
    one: int, two: int
) -> None:
    """Cells with what divides them. Half of a cell, and two halves of rows, are what they are."""
    start, end = sorted((max(one, HEAD), max(two, HEAD)))
    while start > HEAD and USERS[start - 1 : start] not in b",\n":
        start -= 1
    while end < len(USERS) and USERS[end - 1 : end] not in b",\n":
        end += 1
    line_end = USERS.find(b"\n", start)

    _assert_right(found_in("users.csv", USERS[:start] + USERS[min(end, line_end) :]))
    _assert_right(found_in("users.csv", USERS[:start]))


@given(place, structure)
@settings(max_examples=amount(75, long=150), deadline=None)
def test_a_csv_with_a_stray_separator_gives_right_records_or_none(at: int, stray: bytes) -> None:
    while at and USERS[at - 1 : at] not in b",\n":  # in front of a cell, not within
        at -= 1

    found = found_in("users.csv", USERS[:at] + stray + USERS[at:])

    _assert_right(found)


@given(place, st.binary(min_size=1, max_size=40), st.sampled_from([None, "cp1252", "utf-16"]))
@settings(max_examples=amount(100, long=200), deadline=None)
def test_a_csv_with_anything_written_over_it_harms_none_but_those_rows(
    at: int, noise: bytes, encoding: str | None
) -> None:
    at = max(at, HEAD)

    found = found_in("users.csv", USERS[:at] + noise + USERS[at + len(noise) :], encoding=encoding)

    people = {name: each for name, each in found.items() if not isinstance(each, AgentLink)}
    assert len([name for name, each in people.items() if RIGHT.get(name) != each]) <= 3


@given(st.text(max_size=400) | st.binary(max_size=400).map(lambda raw: raw.decode("cp437")))
@settings(max_examples=amount(50, long=100), deadline=None)
@example("0\r0")
def test_of_any_text_at_all_only_what_can_be_sent_comes_out(text: str) -> None:
    for head in ("", ",".join(COLUMNS) + "\n", ";".join(COLUMNS) + "\n"):
        _assert_fit(found_in("users.csv", (head + text).encode("utf-8", "replace")))


@given(st.lists(st.lists(st.sampled_from(CELLS), min_size=10, max_size=10), max_size=8))
@settings(max_examples=amount(50, long=100), deadline=None)
def test_of_any_cells_at_all_only_what_can_be_sent_comes_out(rows: list[list[str]]) -> None:
    text = csv_text([dict(zip(COLUMNS, row, strict=True)) for row in [COLUMNS, *rows]])

    _assert_fit(found_in("users.csv", text.encode()))


def packed(method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as package:
        for name, text in ROSTER.items():
            package.writestr(name, text)
    return stream.getvalue()


@pytest.mark.parametrize(
    "method",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
    ids=["stored", "deflated", "bzip2", "lzma"],
)
@given(st.data())
@settings(max_examples=amount(30, long=60), deadline=None)
def test_a_damaged_zip_gives_right_records_or_none(method: int, data: st.DataObject) -> None:
    whole = packed(method)
    at = data.draw(st.integers(0, len(whole) - 1))
    noise = data.draw(st.binary(max_size=8))

    found = found_in("roster.zip", whole[:at] + noise + whole[at + len(noise) :])
    shorter = found_in("roster.zip", whole[:at])

    _assert_right({name: each for name, each in found.items() if name != "s-1"})
    assert shorter == {}


@given(st.integers(0, len(LINES)), st.binary(max_size=6), st.integers(0, 200))
@example(0, b"\xef\xbb\xbf", 0)
@settings(max_examples=amount(100, long=200), deadline=None)
def test_damaged_json_lines_give_right_records_or_none(at: int, noise: bytes, cut: int) -> None:
    """A cut or a line break anywhere; what is written over a value cannot be told from it."""
    broken = found_in("records.jsonl", LINES[:at] + b"\n" + LINES[at + cut :])
    noisy = found_in("records.jsonl", LINES[:at] + noise + LINES[at:])

    assert broken.items() <= RIGHT_LINES.items()
    assert len(noisy) <= len(RIGHT_LINES) + 1


def _assert_right(found: dict[str, Any]) -> None:
    wrong = [name for name, each in found.items() if RIGHT.get(name) != each]
    assert wrong == []


def _assert_fit(found: dict[str, Any]) -> None:
    ids = [
        own
        for each in found.values()
        for own in (
            (each.student_id, each.user_id) if isinstance(each, AgentLink) else (each.sourced_id,)
        )
    ]
    assert all(path_segment(own) for own in ids)
