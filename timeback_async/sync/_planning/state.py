"""Remember what became of every record, so that the next run sends only what is missing or new.

One row per record: a hash of what was sent, how it ended, how often it was tried, and when. No
names, no payloads; ids as keyed hashes, unless they are wanted in plain text. An outcome is
written after the server's answer, never before: what is not written is sent again, which leaves
the same record.

Source: SQLite's write-ahead log, for durability against a killed process.
"""

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from ..._config import Config
from ...errors import ConfigError
from .._closing import Closing

__all__ = ["Entry", "State", "StateError", "line"]

Ids = Literal["hashed", "plain"]

APPLICATION_ID = 0x54424153  # "TBAS"
VERSION = 2
REMOVED = ("deactivated", "deleted")
ADVICE = (
    "move it away and run again: every record is then sent once more, which leaves the same records"
)
SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    """CREATE TABLE records (
        id TEXT PRIMARY KEY,  -- people and links share one space
        kind TEXT,
        hash BLOB,            -- of what was last saved; NULL before that, empty when it was removed
        outcome TEXT, status INT, attempts INT, time REAL,
        source TEXT,          -- which of the files it came from, for judging what is absent
        student TEXT,         -- of a link: its people, as they stand in `id`
        user TEXT,
        agent_id TEXT         -- of a link: its own id
    ) WITHOUT ROWID""",
    # Outcomes as they come, a batch a row: while records are sent, a row each costs too much.
    "CREATE TABLE outcomes (lines BLOB)",
    f"PRAGMA application_id={APPLICATION_ID}",
    f"PRAGMA user_version={VERSION}",
)
# Outcomes on their way to the records, which takes half the time where they are sorted by id.
UNSORTED = "CREATE TEMP TABLE unsorted AS SELECT * FROM records WHERE false"
ROWS, ROW = 64, "(?,?,?,?,?,?,?,?,?,?,?)"  # in one statement: half the cost of one each


class StateError(ConfigError):
    """The state could not be written: the disk is full, or has failed."""


class Entry(NamedTuple):
    """What is known of one record.

    Attributes:
        id: How its id is kept: hashed, or in plain text.
        kind: "student", "user" or "agent".
        hash: Of what was last saved; None before that, empty when it was removed since.
        outcome: "saved", "deactivated", "deleted", "failed" or "unknown".
        status: HTTP status of the last answer.
        attempts: Requests of the last run.
        time: Of the last outcome, in seconds since 1970.
        source: Which of the files it came from.
        student: Of a link, how the student's id is kept; else "".
        user: Of a link, how the other person's id is kept; else "".
        agent_id: Of a link, its own id; else "".
    """

    id: str
    kind: str
    hash: bytes | None
    outcome: str
    status: int | None
    attempts: int
    time: float
    source: str
    student: str = ""
    user: str = ""
    agent_id: str = ""

    @property
    def is_held(self) -> bool:
        """Whether the server holds it because of us, or may: an earlier answer may be lost."""
        return self.outcome not in REMOVED

    def after(
        self, outcome: str, saved: bytes | None, status: int | None, attempts: int
    ) -> "Entry":
        """Return what is known once a request for it has ended, now."""
        # As `_replace` would, in a third of the time.
        return Entry(
            self.id, self.kind, saved, outcome, status, attempts, time.time(),
            self.source, self.student, self.user, self.agent_id,
        )  # fmt: skip


def line(entry: Entry) -> bytes:
    """Return an entry as the state takes it: a JSON array, on a line of its own."""
    return _encode(entry) + b"\n"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


class State(Closing):
    """What earlier runs did. Close it, or use it in a `with` block; one process has it at a time.

    Keep one for each roster and each endpoint.

        with State("state.db", config) as state:
            ...

    Args:
        path: Where it is kept; made when it is not there, readable by its owner alone. None for
            one that is forgotten when it is closed.
        config: Whose records these are: another endpoint or client is refused. None to open it
            whosever it is.
        ids: "hashed", or "plain" for ids as they are; holds from the first run on.
        create: Whether it may be made.

    Attributes:
        lock: Held by whichever thread is in it.
        is_in_use: Whether a run writes to it.

    Raises:
        ConfigError: It is another endpoint's, in use, damaged, newer than this version, or kept
            with other `ids`.
    """

    def __init__(
        self,
        path: str | Path | None,
        config: Config | None = None,
        ids: Ids | None = None,
        *,
        create: bool = True,
    ) -> None:
        self.path = Path(":memory:" if path is None else path)
        self.lock = threading.RLock()
        self.is_in_use = False
        self._db: sqlite3.Connection
        with self._explained():
            if path is not None:
                self._make_private(create)
            self._db = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False
            )
            # A damaged id is another id: its record is sent again.
            self._db.text_factory = lambda raw: raw.decode(errors="replace")
            try:
                self._open(config, ids)
            except BaseException:
                self._db.close()
                raise

    def _make_private(self, create: bool) -> None:
        """Make the file, if it is not there: sqlite would let everybody read it."""
        if self.path.is_dir():
            raise ConfigError(f"{self.path}: is a folder; name a file for the state")
        if self.path.exists() and self.path.stat().st_size:
            return
        if not create:
            raise ConfigError(f"{self.path}: there is no such state")
        number = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        os.fchmod(number, 0o600)
        os.close(number)

    def _open(self, config: Config | None, ids: Ids | None) -> None:
        db = self._db
        # The lock is the process's, and is gone when it is, in whatever way.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA page_size=16384")  # a quarter of the calls to write; for new files
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("BEGIN IMMEDIATE")
        if not db.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]:
            for statement in SCHEMA:
                db.execute(statement)
            self._set_meta(key=os.urandom(32), ids="hashed", created=time.time())
        db.execute("COMMIT")
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise ConfigError(f"{self.path}: is a database, but no state of a sync")
        if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            raise ConfigError(
                f"{self.path}: was written by another version; use that one, or {ADVICE}"
            )
        # The quick check does not see rows out of order, among which others are not found.
        if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("damaged")
        db.execute(f"SELECT {', '.join(Entry._fields)} FROM records LIMIT 1")  # noqa: S608
        db.execute(UNSORTED)
        self.settle()
        self._key: bytes = self.meta("key")
        self.ids: Ids = self.meta("ids")
        if ids is not None and ids != self.ids:
            if db.execute("SELECT EXISTS (SELECT 1 FROM records)").fetchone()[0]:
                raise ConfigError(f"{self.path}: keeps ids {self.ids}; that holds for its life")
            self._set_meta(ids=ids)
            self.ids = ids
        self._tenant: dict[str, str] = {}
        if config is not None:
            self.claim(config)

    def claim(self, config: Config) -> None:
        """Have it be the state of an endpoint and a client.

        Raises:
            ConfigError: It is another one's.
        """
        own = f"{config.base_url}\n{config.client_id}"
        tenant = _keyed(own.encode(), self._key).hex()
        if (self.meta("tenant") or self._tenant.get("tenant", tenant)) != tenant:
            endpoint = self.meta("endpoint") or self._tenant["endpoint"]
            raise ConfigError(
                f"{self.path}: belongs to another endpoint or client ({endpoint}); give each its "
                "own state"
            )
        # Written with the first outcome: a wrong client id must not keep a state for ever.
        self._tenant = {"tenant": tenant, "endpoint": config.base_url}

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise ConfigError(f"{self.path}: is in use by another run") from None
            raise ConfigError(
                f"{self.path}: cannot be opened ({error}); if it is damaged, {ADVICE}"
            ) from None
        except (
            sqlite3.DatabaseError,
            msgspec.MsgspecError,
            TypeError,
            UnicodeDecodeError,
            OverflowError,  # a number that no column holds
        ):
            raise ConfigError(f"{self.path}: is damaged, or no state; {ADVICE}") from None
        except OSError as error:
            raise ConfigError(f"{self.path}: {error.strerror}") from None

    def close(self) -> None:
        """Give it free for the next run, once no other thread is in it."""
        with self.lock:
            with suppress(
                StateError, sqlite3.Error
            ):  # what is not settled now is when it is opened
                self.settle()
            self._db.close()

    # -- keys

    def id_of(self, sourced_id: str) -> str:
        """Return how an id is kept here."""
        if self.ids == "plain":
            return sourced_id
        return _keyed(sourced_id.encode(errors="surrogatepass"), self._key).hex()

    def hash_of(self, body: bytes) -> bytes:
        """Return the hash of a record, which tells nothing without this state's key."""
        return _keyed(body, self._key)

    # -- what is known

    def meta(self, name: str) -> Any:
        """Return a fact about the state as a whole, or None."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row and row[0]

    def lookup(self, own: str) -> tuple[bytes | None, str, str] | None:
        """Return hash, outcome and source of what is kept under an id, or None; as of `settle`."""
        query = "SELECT hash, outcome, source FROM records WHERE id = ?"
        found: tuple[bytes | None, str, str] | None = self._db.execute(query, (own,)).fetchone()
        return found

    def entries(self) -> Iterator[Entry]:
        """Yield what is known of every record."""
        self.settle()
        return map(Entry._make, self._db.execute("SELECT * FROM records ORDER BY kind, id"))

    def count(self) -> dict[tuple[str, str], int]:
        """Return how many records there are of each kind and outcome."""
        self.settle()
        query = "SELECT kind, outcome, count(*) FROM records GROUP BY kind, outcome"
        return {(kind, outcome): count for kind, outcome, count in self._db.execute(query)}

    def held(self) -> dict[str, int]:
        """Return how many records of each kind are held, as `Entry.is_held` has it."""
        self.settle()
        query = f"""SELECT kind, count(*) FROM records WHERE outcome NOT IN {REMOVED}
                    GROUP BY kind"""  # noqa: S608
        return dict(self._db.execute(query).fetchall())

    # -- what is new

    def write(self, batch: bytes | bytearray) -> None:
        """Keep what became of records, all at once. A hash of None keeps the one that is there.

        It shows in the records after `settle`, and when the state is opened again.

        Args:
            batch: Entries, as `line` makes them, one after the other.

        Raises:
            StateError: The disk is full or has failed; nothing of it is kept.
        """
        with self._together():
            if self._tenant:
                self._set_meta(**self._tenant)
            self._db.execute("INSERT INTO outcomes VALUES (?)", (batch,))
        self._tenant = {}  # which is kept by now

    def _fold(self) -> None:
        """Bring outcomes to their records."""
        for (batch,) in self._db.execute("SELECT lines FROM outcomes ORDER BY rowid"):
            # A TypeError where damage has made something else of it.
            remaining = map(_decode, bytes.splitlines(batch))
            while rows := list(islice(remaining, ROWS)):
                self._db.execute(
                    f"INSERT INTO unsorted VALUES {','.join([ROW] * len(rows))}",  # noqa: S608
                    list(chain.from_iterable(rows)),
                )
        self._db.execute(
            """INSERT INTO records SELECT * FROM unsorted WHERE true ORDER BY id, rowid
               ON CONFLICT (id) DO UPDATE SET
               kind = iif(excluded.outcome = 'failed', kind, excluded.kind),
               hash = coalesce(excluded.hash, hash), outcome = excluded.outcome,
               status = excluded.status, attempts = excluded.attempts, time = excluded.time,
               source = CASE excluded.source WHEN 'records' THEN source ELSE excluded.source END"""
        )
        self._db.execute("DELETE FROM unsorted")
        self._db.execute("DELETE FROM outcomes")

    def begin(
        self,
        changing: Iterable[str],
        moved: Iterable[tuple[str, str]],
        facts: Mapping[str, object],
    ) -> None:
        """Prepare for a run.

        Args:
            changing: How ids are kept for which something else is about to be sent. They are
                unknown from now on: a run that is killed must not leave behind that the version
                before is saved.
            moved: The source, and how the id is kept, of what comes from another file by now.
            facts: What is to be known of the state as a whole.

        Raises:
            StateError: The disk is full or has failed.
        """
        # It has to outlive a power cut too, which may cost outcomes, but no doubt.
        with self._failing():
            self._db.execute("PRAGMA synchronous=FULL")
        with self._together():
            self._fold()  # an earlier outcome must not come after this
            self._db.executemany(
                "UPDATE records SET outcome = 'unknown' WHERE id = ?", ((own,) for own in changing)
            )
            self._db.executemany("UPDATE records SET source = ? WHERE id = ?", moved)
            self._set_meta(**facts)
        self._db.execute("PRAGMA synchronous=NORMAL")

    def settle(self) -> None:
        """Have the records show what has been written since the state was opened.

        Raises:
            StateError: The disk is full or has failed.
        """
        if self._db.execute("SELECT EXISTS (SELECT 1 FROM outcomes)").fetchone()[0]:
            with self._together():
                self._fold()

    def note(self, **facts: Any) -> None:
        """Keep facts about the state as a whole.

        Raises:
            StateError: The disk is full or has failed.
        """
        with self._together():
            self._set_meta(**facts)

    def forget(self, sourced_ids: Iterable[str]) -> int:
        """Delete all that is known of people and of their links; return how many rows that were.

        Raises:
            StateError: The disk is full or has failed.
        """
        count = 0
        with self._together():
            self._fold()
            for own in map(self.id_of, sourced_ids):
                query = "DELETE FROM records WHERE ? IN (id, student, user)"
                count += self._db.execute(query, (own,)).rowcount
        with self._failing():  # what is deleted is not to be found in the file
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def _set_meta(self, **values: Any) -> None:
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", values.items())

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Write all of a block, or nothing."""
        with self.lock, self._failing():
            self._db.execute("BEGIN")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(
                f"{self.path}: could not be written ({error}); make room, there and for temporary "
                "files, and run again to go on"
            ) from None


def _keyed(content: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(content, key=key, digest_size=16).digest()
