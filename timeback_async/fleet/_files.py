"""Read Parquet and Arrow files, from any file system or object store that pyarrow knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pyarrow
from pyarrow import feather, fs, ipc, parquet, types

from ..errors import ConfigError
from ..models.ids import agent_id_of
from ._outcomes import table_of
from ._tables import Kind, kind_of

__all__ = ["CONTENTS", "File", "columns_of", "entries_of", "is_partition", "located", "reason"]

SUFFIXES = (".parquet", ".arrow", ".feather")
# Which record a row is: ids, and nothing personal.
CONTENTS = pyarrow.schema(
    [
        ("index", pyarrow.int64()),
        ("kind", pyarrow.string()),
        ("sourced_id", pyarrow.string()),
        ("student_id", pyarrow.string()),
        ("user_id", pyarrow.string()),
    ]
)
TEXT = (types.is_string, types.is_large_string, types.is_string_view)


def located(url: str) -> tuple[Any, str]:
    """Return the file system and the path that a path or URL names.

    Raises:
        ConfigError: There is no file system for it, or the URL holds a secret: it would be seen in
            the logs and dashboards of a cluster.
    """
    if "://" not in url:
        return fs.LocalFileSystem(), Path(url).absolute().as_posix()
    parts = urlsplit(url)
    if parts.password is not None:
        raise ConfigError(
            f"{parts.scheme}://…@{parts.hostname}{parts.path}: must not hold a secret; set the "
            "variables of the object store, such as AWS_SECRET_ACCESS_KEY, on each worker instead"
        )
    try:
        found: tuple[Any, str] = fs.FileSystem.from_uri(url)
    except (pyarrow.ArrowException, OSError, ImportError) as error:
        raise ConfigError(f"{url}: no such file system ({type(error).__name__})") from None
    return found


def entries_of(url: str) -> list[str] | None:
    """Return what is in a folder, by name, without what is hidden; None where it is no folder.

    Raises:
        ConfigError: There is no file system for it, or it cannot be read.
    """
    system, path = located(url)
    with _explained(url):
        if system.get_file_info(path).type != fs.FileType.Directory:
            return None
        found = system.get_file_info(fs.FileSelector(path))
    folder, mark, query = url.partition("?") if "://" in url else (url, "", "")
    names = sorted(each.base_name for each in found if each.base_name[:1] not in ("", ".", "_"))
    return [f"{folder.rstrip('/')}/{name}{mark}{query}" for name in names]


def is_partition(url: str) -> bool:
    """Return whether the name is that of a file that can be read here."""
    return _suffix_of(located(url)[1]) in SUFFIXES


def columns_of(url: str) -> list[str]:
    """Return the names of the columns of a file.

    Raises:
        ConfigError: It cannot be read.
    """
    system, path = located(url)
    with _explained(url), system.open_input_file(path) as file:
        names: list[str] = _schema_of(file, _suffix_of(path)).names
    return names


class File:
    """A file that was read once: whatever is asked of it is of the same moment.

    Args:
        url: Its path or URL.

    Attributes:
        kind: The kind of its rows, or None where each has its envelope.

    Raises:
        ConfigError: It cannot be read.
    """

    def __init__(self, url: str) -> None:
        system, path = located(url)
        self._url, self._suffix = url, _suffix_of(path)
        if self._suffix not in SUFFIXES:
            raise ConfigError(f"{url}: must be one of {', '.join(SUFFIXES)}")
        with _explained(url), system.open_input_file(path) as file:
            self._content = file.read_buffer()
            self._schema = _schema_of(pyarrow.BufferReader(self._content), self._suffix)
        self.kind: Kind | None = kind_of(self._schema.names)

    def digest(self) -> str:
        """Return a digest of its bytes."""
        return blake2b(self._content, digest_size=16).hexdigest()

    def table(self, columns: list[str] | None = None) -> Any:
        """Return all columns, or some of them.

        Raises:
            ConfigError: It is damaged.
        """
        read = parquet.read_table if self._suffix == ".parquet" else feather.read_table
        with _explained(self._url):
            return read(pyarrow.BufferReader(self._content), columns=columns)

    def contents(self, kind: Kind) -> Any:
        """Return which records its rows are, all of one kind; an id that is no text is null."""
        wanted = ("sourcedId", "studentId", "userId", "agentId")
        found = [
            field.name
            for field in self._schema
            if field.name in wanted and _is_text(field.type)
        ]  # fmt: skip
        table = self.table(found)
        nothing = [None] * table.num_rows
        own, student, user, agent = (
            table[name].to_pylist() if name in found else nothing for name in wanted
        )
        if kind == "agent":
            own = [
                given or (agent_id_of(*pair) if all(pair) else None)
                for given, *pair in zip(agent, student, user, strict=True)
            ]
        else:
            student = user = nothing
        rows = zip(range(table.num_rows), [kind] * table.num_rows, own, student, user, strict=True)
        return table_of(list(rows), CONTENTS)


def _suffix_of(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _schema_of(file: Any, suffix: str) -> Any:
    return parquet.read_schema(file) if suffix == ".parquet" else ipc.open_file(file).schema


def _is_text(kind: Any) -> bool:
    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(is_one(kind) for is_one in TEXT)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(f"{url}: cannot be read ({reason(error)})") from None


def reason(error: Exception) -> str:
    """Return what a file system, or the reader of a format, says is wrong."""
    said = str(error).splitlines() if type(error) is OSError else []
    return said[0] if said else type(error).__name__
