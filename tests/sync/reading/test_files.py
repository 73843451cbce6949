import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.rosters import (
    child,
    codes,
    csv_text,
    folder,
    mapping,
    opened,
    org,
    records,
    school,
    zipped,
)
from timeback_async.errors import ConfigError
from timeback_async.sync import read_roster
from timeback_async.sync._reading import files as _files
from timeback_async.sync._reading.files import Package, reading

ROSTER = school(child())
PEOPLE = csv_text([child()])


def raw_zip(path: Path, entries: Mapping[str, str]) -> Path:
    """Write a zip whose names zipfile itself would not write."""
    with zipfile.ZipFile(path, "w") as package:
        for name, text in entries.items():
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            package.writestr(entry, text)
    return path


def patched(path: Path, offset_from_end_of_name: int, damage: bytes, name: str) -> Path:
    """Overwrite bytes of the stored content of one entry."""
    with zipfile.ZipFile(path) as package:
        entry = package.getinfo(name)
    start = entry.header_offset + 30 + len(name) + offset_from_end_of_name
    content = bytearray(path.read_bytes())
    content[start : start + len(damage)] = damage
    path.write_bytes(content)
    return path


def test_a_folder_and_a_zip_of_the_same_files_are_the_same_roster(tmp_path: Path) -> None:
    loose = opened(folder(tmp_path / "roster", ROSTER))
    packed = opened(zipped(tmp_path / "roster.zip", ROSTER))

    assert records(loose) == records(packed) != {}
    assert loose.format == packed.format == "OneRoster 1.1"


def test_the_case_of_names_does_not_matter(tmp_path: Path) -> None:
    roster = opened(
        folder(tmp_path / "roster", {name.upper(): text for name, text in ROSTER.items()})
    )

    assert (roster.count.students, codes(roster)) == (1, {})


def test_other_files_and_folders_are_not_looked_at(tmp_path: Path) -> None:
    path = folder(tmp_path / "roster", ROSTER | {"classes.csv": b"\xff\xfe", "ORIGIN.txt": "x"})
    folder(path / "older", {"users.csv": csv_text([child("s-9")])})

    assert list(records(opened(path))) == ["s-1"]


def test_one_folder_around_everything_and_the_junk_of_a_mac_are_looked_through(
    tmp_path: Path,
) -> None:
    inside = {f"export 2024/{name}": text for name, text in ROSTER.items()}
    junk = {
        "__MACOSX/export 2024/._users.csv": "junk",
        "__MACOSX/x.csv": "junk",
        ".DS_Store": "junk",
    }
    deeper = {"export 2024/older/users.csv": "no"}

    roster = opened(
        zipped(tmp_path / "roster.zip", {"export 2024/": "", **inside, **junk, **deeper})
    )

    assert list(records(roster)) == ["s-1"]


def test_folders_beside_the_files_of_a_zip_are_not_looked_into(tmp_path: Path) -> None:
    path = zipped(tmp_path / "roster.zip", ROSTER | {"older/users.csv": "no"})

    assert list(records(opened(path))) == ["s-1"]


@pytest.mark.parametrize("separator", ["/", "\\"])
@pytest.mark.parametrize("where", ["export", "a/b/c", "2024 (final)/north"])
def test_the_one_folder_that_holds_all_data_of_a_zip_is_read(
    tmp_path: Path, where: str, separator: str
) -> None:
    inside = {f"{where}/{name}".replace("/", separator): text for name, text in ROSTER.items()}
    path = raw_zip(tmp_path / "roster.zip", inside | {"notes/readme.txt": "x", "top.pdf": "x"})

    roster = opened(path)

    assert (list(records(roster)), codes(roster)) == (["s-1"], {})


@pytest.mark.parametrize("above", ["", "district/"])
def test_a_zip_of_several_folders_says_which(tmp_path: Path, above: str) -> None:
    inside = {f"{above}north/{name}": text for name, text in ROSTER.items()}
    inside |= {f"{above}south\x07/users.csv": PEOPLE}

    with pytest.raises(ConfigError) as caught:
        opened(zipped(tmp_path / "roster.zip", inside))

    assert str(caught.value) == (
        f"{tmp_path / 'roster.zip'}: holds its files in several folders: "
        f"{above}north/ (manifest.csv, orgs.csv, users.csv), {above}south?/ (users.csv); "
        "zip each school by itself, or unpack it and pass one folder"
    )


def test_of_many_folders_in_a_zip_some_are_listed(tmp_path: Path) -> None:
    inside = {f"school {letter}/users.csv": PEOPLE for letter in "abcdefg"}

    with pytest.raises(ConfigError, match=r"school e/ \(users.csv\) and 2 more; zip each school"):
        opened(zipped(tmp_path / "roster.zip", inside))


def test_a_text_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as package:
        for name, text in (ROSTER | {"notes.txt": "Canary"}).items():
            package.writestr(name, text)
    patched(path, 0, b"?", "notes.txt")

    assert codes(opened(path)) == {"file-unread": 1}


def test_the_junk_of_a_mac_beside_a_folder_is_not_looked_at(tmp_path: Path) -> None:
    folder(tmp_path / "roster" / "export", ROSTER)
    folder(tmp_path / "roster" / "__MACOSX", {"._users.csv": "junk"})

    assert list(records(opened(tmp_path / "roster"))) == ["s-1"]


def test_a_folder_in_a_folder_in_a_folder_is_read(tmp_path: Path) -> None:
    folder(tmp_path / "a" / "b" / "c", ROSTER)

    assert list(records(opened(tmp_path / "a"))) == ["s-1"]


def test_the_one_package_in_a_folder_is_read(tmp_path: Path) -> None:
    folder(tmp_path / "a" / "unpacked", ROSTER)
    zipped(tmp_path / "a" / "export.zip", ROSTER)
    folder(tmp_path / "b" / "tonight", ROSTER)

    with read_roster(tmp_path / "a") as one, read_roster(tmp_path / "b") as other:
        assert [len(list(each.records())) for each in (one, other)] == [1, 1]
        inside = [each.findings.causes[0].examples[0] for each in (one, other)]

    assert [(each.code, each.detail) for each in inside] == [
        ("package-inside", "export.zip"),
        ("package-inside", "tonight"),
    ]


def test_of_several_packages_in_a_folder_none_is_taken(tmp_path: Path) -> None:
    for name in ("north", "south"):
        folder(tmp_path / name, ROSTER)

    with pytest.raises(ConfigError, match=r"north \(is this the roster\?\), south \(is this"):
        read_roster(tmp_path)


def test_a_zip_with_nothing_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"found nothing to read$"):
        read_roster(zipped(tmp_path / "export.zip", {"notes.txt": "Canary"}))


@pytest.mark.parametrize("where", ["", "export/"])
def test_a_zip_of_what_cannot_be_read_says_what_it_is(tmp_path: Path, where: str) -> None:
    inside = {f"{where}users.xlsx": "Canary", f"{where}export.zip": "Canary", "notes.pdf": "x"}

    with pytest.raises(ConfigError, match=r"found export.zip, users.xlsx$"):
        read_roster(zipped(tmp_path / "export.zip", inside))


def test_a_common_prefix_is_cut_from_names(tmp_path: Path) -> None:
    files = {"2024_Users.csv": PEOPLE, "2024_orgs.csv": csv_text([org()])}

    roster = opened(folder(tmp_path / "roster", files))

    assert codes(roster) == {"manifest-missing": 1, "name-prefix": 1}
    assert list(records(roster)) == ["s-1"]


def test_two_files_of_users_with_other_prefixes_are_none(tmp_path: Path) -> None:
    path = folder(tmp_path / "roster", {"a_users.csv": PEOPLE, "b_users.csv": PEOPLE})

    with pytest.raises(ConfigError, match=r"has no file of people"):
        opened(path)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "roster.zip", {"users.csv": PEOPLE, "Users.CSV": PEOPLE})

    with pytest.raises(ConfigError, match=r"users.csv and Users.CSV have one name"):
        opened(path)


def test_two_files_of_one_name_behind_the_prefix_are_refused(tmp_path: Path) -> None:
    files = {"x_users.csv": PEOPLE, "x_orgs.csv": csv_text([org()]), "orgs.csv": csv_text([org()])}

    with pytest.raises(ConfigError, match=r"orgs.csv and x_orgs.csv have one name"):
        opened(folder(tmp_path / "roster", files))


def test_a_map_knows_files_by_their_whole_names(tmp_path: Path) -> None:
    layout = mapping(tmp_path / "map.toml", '[sis_users]\ntarget = "users"\n')

    roster = opened(folder(tmp_path / "roster", {"sis_users.csv": PEOPLE}), layout=layout)

    assert list(records(roster)) == ["s-1"]


def test_a_lone_file_may_be_hidden(tmp_path: Path) -> None:
    path = folder(tmp_path, {".users.csv": PEOPLE}) / ".users.csv"

    assert list(records(opened(path))) == ["s-1"]


@pytest.mark.parametrize("name", ["", ".", "Thumbs.db", "a\x1bb.csv"])
def test_odd_entries_of_a_zip_are_not_looked_at(tmp_path: Path, name: str) -> None:
    inside = {f"export/{file}": text for file, text in ROSTER.items()}
    entries = {name: "x"} | (ROSTER if name.endswith("csv") else inside)

    assert list(records(opened(raw_zip(tmp_path / "roster.zip", entries)))) == ["s-1"]


@pytest.mark.parametrize(
    "name",
    ["../users.csv", "a/../../users.csv", "/users.csv", "\\users.csv", "C:\\users.csv", "a\\..\\b"],
)
def test_a_name_that_leads_out_of_the_zip_is_refused(tmp_path: Path, name: str) -> None:
    path = raw_zip(tmp_path / "roster.zip", {"users.csv": PEOPLE, name: "x"})

    with pytest.raises(ConfigError, match=r"a path that leads out of it; refused"):
        opened(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "roster.zip", ROSTER)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"is encrypted; unpack it first"):
        opened(path)


def test_a_zip_that_grows_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("users.csv", bytes(33 << 20))

    assert path.stat().st_size < 100_000
    with pytest.raises(ConfigError, match=r"expands to an implausible size"):
        opened(path)


def test_a_zip_cannot_hide_how_much_it_grows(tmp_path: Path) -> None:
    """The size in the directory is a lie: what comes after it is never unpacked."""
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("users.csv", PEOPLE + "\n" * (33 << 20))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 1000)
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"users.csv: is damaged in the zip"):
        opened(path)


@pytest.mark.parametrize(("limit", "value"), [("MAX_ENTRIES", 2), ("MAX_BYTES", 100)])
def test_a_zip_of_more_than_any_roster_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(_files, limit, value)

    with pytest.raises(ConfigError, match=r"holds more than a roster can"):
        opened(zipped(tmp_path / "roster.zip", ROSTER))


def test_what_is_no_roster_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roster.pdf"
    path.write_bytes(b"%PDF")

    with pytest.raises(ConfigError, match=r"is not a folder, a zip file, CSV, JSON Lines or Parq"):
        opened(path)


@pytest.mark.parametrize("name", ["roster.zip", "users.csv", "roster", "records.jsonl"])
def test_what_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"No such file or directory"):
        opened(tmp_path / name)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_zip_that_was_cut_off_is_refused(tmp_path: Path, keep: float) -> None:
    path = zipped(tmp_path / "roster.zip", ROSTER)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])

    with pytest.raises(ConfigError, match=r"is not a zip file, or is truncated"):
        opened(path)


def test_a_zip_whose_directory_is_damaged_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "roster.zip", ROSTER)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"PK\x01\x02", b"PK\x07\x02"))

    with pytest.raises(ConfigError, match=r"is not a readable zip file"):
        opened(path)


def test_a_file_that_fails_its_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as package:
        package.writestr("users.csv", PEOPLE)
    patched(path, len(PEOPLE) - 4, b"??", "users.csv")

    with pytest.raises(ConfigError, match=r"users.csv: is damaged in the zip"):
        opened(path)


def test_a_file_that_cannot_be_unpacked_is_refused(tmp_path: Path) -> None:
    files = {"users.csv": csv_text([child(f"s-{number}") for number in range(300)])}
    path = patched(zipped(tmp_path / "roster.zip", files), 20, bytes(40), "users.csv")

    with pytest.raises(ConfigError, match=r"^users.csv: is damaged in the zip: Error -3"):
        opened(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "roster", ROSTER)
    (path / "users.csv").chmod(0)

    with pytest.raises(ConfigError, match=r"^users.csv: Permission denied"):
        opened(path)


def test_a_disk_that_fails_while_a_file_is_read_is_told(tmp_path: Path) -> None:
    file = Package(folder(tmp_path / "roster", ROSTER)).files["users"]

    with pytest.raises(ConfigError, match=r"^users.csv: Input/output error"), reading(file):
        raise OSError(5, "Input/output error")
    with pytest.raises(ConfigError, match=r"^users.csv: cannot be read"), reading(file):
        raise OSError
