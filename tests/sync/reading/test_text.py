from pathlib import Path

import pytest

from tests.support.rosters import child, codes, csv_text, opened, users, wrong
from timeback_async import Student
from timeback_async.errors import ConfigError
from timeback_async.sync import Roster

NAMES = ["José", "Zoë", "Canary", "Åsa"]
LINES = csv_text([child(f"s-{n}", givenName=name) for n, name in enumerate(NAMES)]).split("\r\n")


def text(*encodings: str) -> bytes:
    """Return the file, each of its four rows in an encoding."""
    head, *rows, end = LINES
    encoded = [row.encode(encoding) for row, encoding in zip(rows, encodings, strict=True)]
    return b"\r\n".join([head.encode(), *encoded, end.encode()])


def names(roster: Roster) -> list[str]:
    return [each.given_name for each in roster.records() if isinstance(each, Student)]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32"])
@pytest.mark.parametrize("is_told", [False, True])
def test_utf_16_is_recognised_with_and_without_a_mark(
    tmp_path: Path, encoding: str, is_told: bool
) -> None:
    path = users(tmp_path, "\r\n".join(LINES).encode(encoding))

    roster = opened(path, encoding=encoding if is_told else None)

    assert names(roster) == NAMES
    assert codes(roster) == {"encoding": 1}


def test_the_zeros_of_utf_16_are_believed_and_not_another_encoding(tmp_path: Path) -> None:
    path = users(tmp_path, "\r\n".join(LINES).encode("utf-16-le"))

    assert names(opened(path, encoding="cp1252")) == NAMES


@pytest.mark.parametrize("told", ["utf-16", "utf-32-le", "utf-8", "utf-8-sig", "cp1252", None])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_in_utf_8_is_read_as_such_whatever_is_told(
    tmp_path: Path, told: str | None, mark: str
) -> None:
    roster = opened(users(tmp_path, mark + "\r\n".join(LINES)), encoding=told)

    assert names(roster) == NAMES
    assert codes(roster) == {}


@pytest.mark.parametrize("place", ["first", "last"])
def test_utf_16_with_bytes_too_many_is_refused(tmp_path: Path, place: str) -> None:
    lines = [line.encode("utf-16-le") for line in LINES]
    shifted = (
        range(4) if place == "first" else range(2, 4)
    )  # an even number, so that all is decoded
    ends = [b"\r\x00\n\x00" + b"\n" * (n in shifted) for n in range(len(lines))]
    path = users(tmp_path, b"".join(a + b for a, b in zip(lines, ends, strict=True)))

    with pytest.raises(ConfigError, match=r"users.csv: is not utf-16-le; export it again"):
        opened(path)


def test_utf_16_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = users(tmp_path, "\r\n".join(LINES).encode("utf-16-le")[:-1])

    with pytest.raises(ConfigError, match=r"users.csv: is not utf-16-le; export it again"):
        opened(path)


@pytest.mark.parametrize("told", ["cp1252", "latin-1", "cp850"])
def test_an_encoding_that_is_told_is_used(tmp_path: Path, told: str) -> None:
    roster = opened(users(tmp_path, text(*[told] * 4)), encoding=told)

    assert names(roster) == NAMES
    assert codes(roster) == {"encoding": 1}


def test_an_encoding_of_several_bytes_a_letter_that_is_told_is_used(tmp_path: Path) -> None:
    head, row = LINES[:2]
    lines = "\r\n".join([head, row.replace("José", "小龍"), ""])

    roster = opened(users(tmp_path, lines.encode("gbk")), encoding="gbk")

    assert names(roster) == ["小龍"]
    assert codes(roster) == {"encoding": 1}


def test_a_line_that_is_not_in_the_encoding_of_several_bytes_is_read_as_utf_8(
    tmp_path: Path,
) -> None:
    rows = ["李", "王", "張"]
    head, row = LINES[:2]
    texts = [row.replace("s-0", name).replace("José", name) for name in rows]
    encoded = [each.encode("big5") for each in texts]
    encoded[1] = texts[1].replace("王", "Zo€").encode()
    path = users(tmp_path, b"\n".join([head.encode(), *encoded, b""]))

    roster = opened(path, encoding="big5")

    assert names(roster) == ["李", "Zo€", "張"]
    assert codes(roster)["encoding-mixed"] == 1


def test_text_that_may_be_in_two_encodings_is_read_as_told_and_to_be_checked(
    tmp_path: Path,
) -> None:
    head, row = LINES[:2]
    lines = "\r\n".join([head, row.replace("José", "Жж"), ""])

    roster = opened(users(tmp_path, lines), encoding="gbk")

    assert codes(roster)["encoding-doubtful"] == 1


@pytest.mark.parametrize("place", [0, 1, 3])
def test_one_line_in_another_encoding_garbles_no_other(tmp_path: Path, place: int) -> None:
    encodings = ["utf-8"] * 4
    encodings[place] = "cp1252"
    path = users(tmp_path, text(*encodings))

    roster = opened(path)
    told = opened(path, encoding="cp1252")

    assert names(roster) == [name for n, name in enumerate(NAMES) if n != place]
    assert [(each.line, each.reason) for each in roster.left_out()] == [
        (place + 2, "the row is in another encoding than the file")
    ]
    assert names(told) == NAMES
    assert codes(told) == {"encoding": 1, "encoding-mixed": 1}
    assert wrong(told)[0].startswith(f"encoding-mixed users.csv:{place + 2}: ")


def test_one_line_of_utf_8_in_a_file_of_another_encoding_is_told(tmp_path: Path) -> None:
    path = users(tmp_path, text("cp1252", "utf-8", "cp1252", "cp1252"))

    roster = opened(path, encoding="cp1252")

    assert names(roster) == NAMES
    assert wrong(roster)[0].startswith("encoding-mixed users.csv:3: ")


def test_a_line_that_is_in_neither_encoding_costs_itself(tmp_path: Path) -> None:
    lines = text(*["utf-8"] * 4).replace("Zoë".encode(), b"Zo\x81")

    roster = opened(users(tmp_path, lines), encoding="cp1252")

    assert names(roster) == ["José", "Canary", "Åsa"]
    assert codes(roster) == {"row-encoding": 1}


@pytest.mark.parametrize(
    ("lines", "told", "message"),
    [
        (text(*["cp1252"] * 4), None, r"users.csv:2: is not UTF-8; pass its encoding"),
        (
            LINES[0].encode() + b"\n\x81\n\x81\n",
            "cp1252",
            "users.csv:2: is neither UTF-8 nor cp1252",
        ),
        (LINES[0].encode() + b"\n\xff\n\xff\n", "gbk", "users.csv:2: is neither UTF-8 nor gbk"),
        (b"\xff" + text(*["utf-8"] * 4), None, "users.csv: its first line is not CSV"),
    ],
)
def test_a_file_in_no_known_encoding_is_refused(
    tmp_path: Path, lines: bytes, told: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(users(tmp_path, lines), encoding=told)
