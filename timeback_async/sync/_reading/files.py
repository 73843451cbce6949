"""Open an export of a school (a folder, a zip or a single file), and find its data files.

Nothing is unpacked. A zip is refused before a byte is read if one of its paths leads out of it, or
if it expands to an implausible size.
"""

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from os.path import commonpath
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from ..._tables import arrow_stream
from ...errors import ConfigError
from .._closing import Closing

__all__ = [
    "COLUMNAR", "IS_UNWANTED", "TABLE", "DataFile", "Package", "Tables", "go_on", "packages_in",
    "reading", "shown",
]  # fmt: skip

# Whether nobody waits any more for what is read. A thread cannot be stopped from outside, but it
# has the context in which it was begun.
IS_UNWANTED: ContextVar[Callable[[], bool]] = ContextVar("IS_UNWANTED", default=lambda: False)
TABLE = ".table"  # the suffix of a table that is no file
COLUMNAR = (".parquet", TABLE)
SUFFIXES = {".csv", ".jsonl", ".ndjson", ".parquet"}
# What else may hold people, though nobody here reads it; a text only if it looks like a table.
UNREADABLE = {".tsv", ".xls", ".xlsx", ".ods", ".gz", ".txt"}
MAX_SHOWN = 5
MAX_ENTRIES = 10_000
MAX_BYTES = 32 << 30
# Zipped roster files have about a tenth of their size; a five-hundredth is implausible.
MAX_RATIO, MIN_SUSPECT = 500, 32 << 20


class DataFile(NamedTuple):
    """One file of a package: its name, safe to print, its suffix, and how to open it repeatedly."""

    name: str
    suffix: str
    # A binary stream; zipfile and pathlib have different types. Of a TABLE, a `pyarrow.Table`.
    open: Callable[[], Any]


class Package(Closing):
    """The data files of a roster.

    Args:
        path: A folder, a zip or one file.
        is_prefixed: Whether a common prefix of all names may be removed.

    Attributes:
        path: Where it is.
        is_inside: Whether it is the only package in the given folder.
        files: By name, in lower case and without suffix, such as "users".
        others: Names of what looks like data and cannot be read, and of packages inside a zip.
        is_alone: Whether it is a single file.
        is_packed: Whether it may have a manifest, which tables have not.
        prefix: What was removed from the beginning of every name.

    Raises:
        ConfigError: It cannot be opened, or two files have the same name.
    """

    is_packed = True

    def __init__(self, path: Path, *, is_prefixed: bool = True) -> None:
        self._zip: zipfile.ZipFile | None = None
        self.prefix, self.others = "", list[str]()
        self.is_alone = False
        given = path
        try:
            path = self.path = _innermost(path)
            self.is_inside = path != given
            if path.is_dir():
                found = [
                    DataFile(shown(each.name), each.suffix.lower(), partial(each.open, "rb"))
                    for each in sorted(path.iterdir())
                    if each.is_file()
                ]
            elif (alone := _single(path)).suffix in SUFFIXES:
                self.is_alone = True
                alone.open().close()
                found = [alone]
            elif zipfile.is_zipfile(path):
                self._zip = zipfile.ZipFile(path)
                found, self.others = _entries(path, self._zip)
            elif path.suffix.lower() == ".zip":
                path.open("rb").close()
                raise ConfigError(f"{path}: is not a zip file, or is truncated; export it again")
            else:
                path.open("rb").close()
                raise ConfigError(
                    f"{path}: is not a folder, a zip file, CSV, JSON Lines or Parquet"
                )
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror or 'cannot be read'}") from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise ConfigError(f"{path}: is not a readable zip file: {error}") from None
        visible = [file for file in found if self.is_alone or not file.name.startswith(".")]
        seen = [file for file in visible if file.suffix in SUFFIXES]
        self.others += [file.name for file in visible if _looks_like_data(file)]
        stems = [file.name[: -len(file.suffix)].lower() for file in seen]
        prefixes = {stem.removesuffix("users") for stem in stems if stem.endswith("users")}
        if is_prefixed and not self.is_alone and "users" not in stems and len(prefixes) == 1:
            (self.prefix,) = prefixes
        self.files: dict[str, DataFile] = {}
        for stem, file in zip(stems, seen, strict=True):
            name = stem.removeprefix(self.prefix)
            if name in self.files:
                raise ConfigError(
                    f"{path}: {self.files[name].name} and {file.name} have one name; remove one"
                )
            self.files[name] = file

    def close(self) -> None:
        """Close the zip."""
        if self._zip is not None:
            self._zip.close()


class Tables(Package):
    """Tables in place of files, by the names of the files: "users", "orgs" and so on.

    Raises:
        ConfigError: There is none, a name is there twice, or pyarrow is not installed.
        TypeError: One of them is no table.
    """

    is_packed = False

    def __init__(self, tables: Mapping[str, object]) -> None:
        self._zip = None
        self.path, self.prefix, self.others = Path("tables"), "", []
        self.is_inside = self.is_alone = False
        self.files = {}
        for name, table in tables.items():
            stem = name.lower().removesuffix(".csv")
            if stem in self.files or stem == "manifest":
                why = "is there twice" if stem in self.files else "tables have none; pass mode"
                raise ConfigError(f"{shown(name)}: {why}")
            # Read once: it is looked at several times, and a query may give other rows then.
            whole = arrow_stream(table, shown(name)).read_all()
            self.files[stem] = DataFile(shown(name), TABLE, partial(_same, whole))
        if not self.files:
            raise ConfigError("tables: there is none; pass one for users at least")


def _same(table: Any) -> Any:
    return table


def _single(path: Path) -> DataFile:
    """Return a file as a package of its own; one that is compressed has the name inside."""
    if path.suffix.lower() == ".gz":
        inside = Path(path.stem)
        return DataFile(shown(inside.name), inside.suffix.lower(), partial(gzip.open, path, "rb"))
    return DataFile(shown(path.name), path.suffix.lower(), partial(path.open, "rb"))


def _innermost(path: Path) -> Path:
    """Return the only package in a folder without data files of its own; else the folder."""
    while path.is_dir() and not any(each.suffix.lower() in SUFFIXES for each in path.iterdir()):
        packages = packages_in(path)
        only = [each for each in packages if not each.is_dir()] or packages
        if len(only) != 1:
            break
        (path,) = only
    return path


def packages_in(path: Path) -> list[Path]:
    """Return the zips and the folders in a folder."""
    if not path.is_dir():
        return []
    seen = (each for each in path.iterdir() if not _is_junk(PurePosixPath(each.name)))
    return sorted(each for each in seen if each.is_dir() or each.suffix.lower() == ".zip")


def go_on() -> None:
    """Do nothing, unless nobody waits any more for what is read.

    Raises:
        ConfigError: Nobody does.
    """
    if IS_UNWANTED.get()():
        raise ConfigError("interrupted")


@contextmanager
def reading(file: DataFile) -> Iterator[BinaryIO]:
    """Open a data file; every error of the disk or the zip is a ConfigError.

    Raises:
        ConfigError: It cannot be read, or is damaged.
    """
    try:
        with file.open() as stream:
            yield stream
    except gzip.BadGzipFile:
        raise ConfigError(f"{file.name}: is not a gzip file, or is damaged") from None
    except OSError as error:
        raise ConfigError(f"{file.name}: {error.strerror or 'cannot be read'}") from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
        raise ConfigError(f"{file.name}: is damaged in the zip: {error}; export it again") from None
    except UnicodeError:
        raise ConfigError(f"{file.name}: was changed while it was read; run again") from None


def _entries(path: Path, package: zipfile.ZipFile) -> tuple[list[DataFile], list[str]]:
    """Return the files in the folder that encloses all data files, and the packages in it.

    Raises:
        ConfigError: There is no such folder, or the zip is not one to be opened.
    """
    entries = [entry for entry in package.infolist() if entry.filename and not entry.is_dir()]
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise ConfigError(f"{path}: holds more than a roster can; refused")
    by_folder: dict[PurePosixPath, list[DataFile]] = {}
    for entry in entries:
        _check(path, entry)
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if not _is_junk(name):
            file = DataFile(shown(name.name), name.suffix.lower(), partial(package.open, entry))
            by_folder.setdefault(name.parent, []).append(file)
    data = {
        folder: names
        for folder, files in by_folder.items()
        if (names := [file.name for file in files if file.suffix in SUFFIXES])
    }
    enclosing = PurePosixPath(commonpath(data)) if data else PurePosixPath()
    if data and enclosing not in data:
        several = [f"{shown(str(each))}/ ({_some(data[each])})" for each in sorted(data)]
        raise ConfigError(
            f"{path}: holds its files in several folders: {_some(several)}; "
            "zip each school by itself, or unpack it and pass one folder"
        )
    found = by_folder[enclosing] if data else [each for some in by_folder.values() for each in some]
    inside = [f"{shown(str(each))}/" for each in sorted(data) if each != enclosing]
    return found, inside + [file.name for file in found if file.suffix == ".zip"]


def _some(names: Sequence[str]) -> str:
    """Return names with commas; the first few, and how many more there are."""
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more


def _looks_like_data(file: DataFile) -> bool:
    """Whether a file that cannot be read may hold people. A read-me does not look like a table."""
    if file.suffix != ".txt":
        return file.suffix in UNREADABLE
    try:
        with reading(file) as stream:
            first = stream.readline(4096)
    except ConfigError:
        return True  # nobody can say what it is
    return any(first.count(delimiter) > 1 for delimiter in (b"\t", b",", b";", b"|"))


def _check(path: Path, entry: zipfile.ZipInfo) -> None:
    name = entry.filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
        raise ConfigError(f"{path}: holds a path that leads out of it; refused")
    if entry.flag_bits & 1:
        raise ConfigError(f"{path}: is encrypted; unpack it first")
    is_large = entry.file_size > MIN_SUSPECT
    if is_large and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
        raise ConfigError(f"{path}: expands to an implausible size; refused")


def _is_junk(name: PurePosixPath) -> bool:
    return name.parts[:1] == ("__MACOSX",) or any(part.startswith(".") for part in name.parts)


def shown(name: str) -> str:
    """Return a file's name with "?" for characters that are not printable."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)
