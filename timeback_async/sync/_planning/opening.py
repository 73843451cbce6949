"""Open the file of a state: make it or check it, and explain why it is refused.

Source: SQLite's documentation of PRAGMA locking_mode, journal_mode and integrity_check.
"""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ..._config import Config
from ...errors import ConfigError
from .entry import Entry
from .keys import Keys

__all__ = [
    "NIGHT",
    "connected",
    "explained",
    "get_fact",
    "make_private",
    "owner_facts",
    "set_facts",
]

APPLICATION_ID = 0x54424153  # "TBAS"
VERSION = 2
ADVICE = (
    "move it away and run again: every record is then sent once more, which leaves the same records"
)
SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    """CREATE TABLE records (
        id TEXT PRIMARY KEY,  -- people and links share one space
        kind TEXT,
        hash BLOB,            -- of the last saved version; NULL before it, empty after a removal
        outcome TEXT, status INT, attempts INT, time REAL,
        source TEXT,          -- the file it came from, for judging absence
        student TEXT,         -- of a link: its people, in the form of `id`
        user TEXT,
        agent_id TEXT         -- of a link: its own id
    ) WITHOUT ROWID""",
    # Outcomes as they come, one row for each batch: a row for each outcome slows sending down.
    "CREATE TABLE outcomes (lines BLOB)",
    f"PRAGMA application_id={APPLICATION_ID}",
    f"PRAGMA user_version={VERSION}",
)

# What the files were like when all of it was saved; made when it is remembered. Whoever changes a
# record, even an earlier version that knows nothing of this, takes away its head: then everything
# is read again.
NIGHT = (
    "CREATE TABLE IF NOT EXISTS night (part TEXT, content BLOB)",
    "CREATE TABLE IF NOT EXISTS night_head (content BLOB)",
    """CREATE TRIGGER IF NOT EXISTS night_ends_with_outcome AFTER INSERT ON outcomes
       BEGIN DELETE FROM night_head; END""",
    """CREATE TRIGGER IF NOT EXISTS night_ends_with_change AFTER UPDATE ON records
       BEGIN DELETE FROM night_head; END""",
    """CREATE TRIGGER IF NOT EXISTS night_ends_with_removal AFTER DELETE ON records
       BEGIN DELETE FROM night_head; END""",
)


def make_private(path: Path, *, create: bool) -> None:
    """Make the file readable by its owner alone; SQLite would let everybody read it.

    Raises:
        ConfigError: It is a folder, or it does not exist and `create` is False.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; name a file for the state")
    if path.exists() and path.stat().st_size:
        return
    if not create:
        raise ConfigError(f"{path}: does not exist; name the file of a state")
    number = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    os.fchmod(number, 0o600)
    os.close(number)


def connected(path: Path) -> sqlite3.Connection:
    """Return a connection that holds the file for this process alone, its tables made and checked.

    Raises:
        ConfigError: It is another database, or another version's.
        sqlite3.Error: It is damaged or locked; `explained` says so.
    """
    db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    # A damaged id becomes a different id: its record is sent again.
    db.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        _make(db)
        _check(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _make(db: sqlite3.Connection) -> None:
    # The lock belongs to the process and ends with it, even if it is killed.
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("PRAGMA page_size=16384")  # a quarter of the calls to write; for new files
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("BEGIN IMMEDIATE")
    if not db.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]:
        for statement in SCHEMA:
            db.execute(statement)
        set_facts(db, key=os.urandom(32), ids="hashed", created=time.time())
    db.execute("COMMIT")


def _check(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ConfigError(f"{path}: is a database, but not the state of a sync; name another file")
    if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        raise ConfigError(f"{path}: was written by another version; use that one, or {ADVICE}")
    # The quick check does not see rows out of order, and a lookup would miss them.
    if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise sqlite3.DatabaseError("damaged")
    db.execute(f"SELECT {', '.join(Entry._fields)} FROM records LIMIT 1")  # noqa: S608


def get_fact(db: sqlite3.Connection, name: str) -> Any:
    """Return a fact about the state as a whole, or None."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row and row[0]


def set_facts(db: sqlite3.Connection, **facts: Any) -> None:
    """Write facts about the state as a whole, within the caller's transaction."""
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", facts.items())


def owner_facts(path: Path, config: Config, keys: Keys, known: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts that bind a state to an endpoint and a client.

    Args:
        path: The state's file, for the message.
        config: The endpoint and the client.
        keys: The state's own.
        known: The facts it is bound by already, if it is.

    Raises:
        ConfigError: It is bound to another endpoint or client.
    """
    owner = f"{config.base_url}\n{config.client_id}"
    tenant = keys.hash_of(owner.encode()).hex()
    if (known.get("tenant") or tenant) != tenant:
        raise ConfigError(
            f"{path}: belongs to another endpoint or client ({known['endpoint']}); give each its "
            "own state"
        )
    return {"tenant": tenant, "endpoint": config.base_url}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn every error of opening a state into a ConfigError that says what to do.

    Raises:
        ConfigError: The file is in use, damaged, not a state, or cannot be opened.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise ConfigError(
                f"{path}: is in use by another run, which holds it alone; wait until that ends"
            ) from None
        raise ConfigError(
            f"{path}: cannot be opened ({error}); if it is damaged, {ADVICE}"
        ) from None
    except (
        sqlite3.DatabaseError,
        msgspec.MsgspecError,
        TypeError,
        UnicodeDecodeError,
        OverflowError,  # a number that fits no column
    ):
        raise ConfigError(f"{path}: is damaged, or not a state; {ADVICE}") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
