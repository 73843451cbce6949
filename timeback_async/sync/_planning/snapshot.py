"""Read the file of a state while a run writes it.

Source: SQLite's description of the write-ahead log: its header, and what a checkpoint does.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ...errors import ConfigError
from .opening import explained, make_private
from .state import State

__all__ = ["snapshot"]

COPIES = 10  # attempts to copy a file that is being written
HEADER = 32  # bytes; the log has another one each time that it begins anew


@contextmanager
def snapshot(path: Path) -> Iterator[State]:
    """Yield a state as it is on the disk, whether or not a run holds it; changes to it are lost.

    Not for a process that has the state open: to close any file of it there gives up its lock.

    Raises:
        ConfigError: There is no state, or it is damaged.
    """
    with TemporaryDirectory(prefix="timeback-async-") as folder:
        copy = Path(folder, path.name)
        with explained(path):
            make_private(path, create=False)
            _copy(path, copy)
        try:
            state = State(copy, create=False)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(copy), str(path))) from None
        with state:
            yield state


def _copy(path: Path, copy: Path) -> None:
    """Copy the database, then its log.

    The log has every page that came into the database meanwhile, unless it began anew.
    """
    log, log_copy = Path(f"{path}-wal"), Path(f"{copy}-wal")
    for _ in range(COPIES):
        before = _header(log)
        shutil.copyfile(path, copy)
        log_copy.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # no run is on, or it has just ended
            shutil.copyfile(log, log_copy)
        if _header(log) == before:
            return
    raise sqlite3.OperationalError("locked")


def _header(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            return file.read(HEADER)
    except FileNotFoundError:
        return b""
