"""Read Parquet and Arrow files, from any file system or object store that pyarrow knows."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from string import punctuation
from typing import Any
from urllib.parse import parse_qsl, quote

import pyarrow
from pyarrow import feather, fs, ipc, parquet, types

from .._tables import cells_of, without_index
from ..errors import ConfigError
from ..models.ids import agent_id_of
from ._outcomes import table_of
from ._tables import Kind, kind_of

__all__ = [
    "CONTENTS", "File", "check_url", "columns_of", "entries_of", "is_partition", "is_same",
    "located", "reason",
]  # fmt: skip

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
# What the query of a URL may say: where a store is, and nothing secret.
QUERY = {
    "allow_bucket_creation", "allow_bucket_deletion", "anonymous", "background_writes",
    "blob_storage_authority", "blob_storage_scheme", "buffer_size",
    "check_directory_existence_before_creation", "default_block_size", "dfs_storage_authority",
    "dfs_storage_scheme", "enable_tls", "endpoint_override", "force_virtual_addressing", "region",
    "replication", "retry_limit_seconds", "scheme", "user",
}  # fmt: skip
TEXT = (types.is_string, types.is_large_string, types.is_string_view)


def located(url: str) -> tuple[Any, str]:
    """Return the file system and the path that a path or URL names.

    Raises:
        ConfigError: There is no file system for it; or see `check_url`.
    """
    if "://" not in url:
        return fs.LocalFileSystem(), Path(url).absolute().as_posix()
    check_url(url)
    try:
        # Letters and spaces may be written as they are.
        found: tuple[Any, str] = fs.FileSystem.from_uri(quote(url, safe=punctuation))
    except (pyarrow.ArrowException, OSError, ImportError) as error:
        raise ConfigError(f"{url}: no such file system ({type(error).__name__})") from None
    return found


def check_url(url: str) -> None:
    """Refuse a URL that may hold a secret: logs and dashboards of a cluster would show it.

    Raises:
        ConfigError: It may. The message shows nothing but its scheme.
    """
    scheme, _, rest = url.partition("://")
    address, _, query = rest.partition("?")
    said = parse_qsl(query, keep_blank_values=True)
    is_plain = all(name in QUERY and "@" not in value for name, value in said)
    if rest and not (is_plain and not _secret(address)):
        raise ConfigError(
            f"{scheme}://…: must not hold a secret, or anything but where the store is; set the "
            "variables of the object store, such as AWS_SECRET_ACCESS_KEY, on each worker instead"
        )


# The password of "name:password@bucket", which may hold any other character.
_secret = re.compile(r"^[^@]*:.*@").match


def is_same(url: str, other: str) -> bool:
    """Return whether two paths or URLs name the same folder."""
    if "://" in url or "://" in other:
        return url.rstrip("/") == other.rstrip("/")
    return Path(url).resolve() == Path(other).resolve()


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
    if "://" in url:
        names = [quote(name, safe="=") for name in names]
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
        schema = _schema_of(file, _suffix_of(path))
    return _columns(schema)


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
        self.kind: Kind | None = kind_of(_columns(self._schema))

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
        nothing: list[Any] = [None] * table.num_rows
        own, student, user, agent = (
            [each if isinstance(each, str) else None for each in cells_of(table[name])]
            if name in found
            else nothing
            for name in wanted
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


def _columns(schema: Any) -> list[str]:
    """Return the names of the columns, without the index that pandas adds."""
    names: list[str] = without_index(schema.empty_table()).schema.names
    return names


def _is_text(kind: Any) -> bool:
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
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
