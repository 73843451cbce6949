"""Remember the outcome of every record, so that the next run sends only missing and changed ones.

One row per record: a hash of what was sent, its outcome, the number of attempts, and the time. It
holds no names and no payloads, and ids as keyed hashes unless plain ones are asked for. An outcome
is written after the server's answer, never before: an unwritten one is sent again, which leaves
the same record.

Source: SQLite's write-ahead log, for durability against a killed process.
"""

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ..._config import Config
from ...errors import ConfigError
from .._closing import Closing
from .._reading.memory import HEAD
from .._reading.roster import BORROWING
from .entry import REMOVED_OUTCOMES, Entry, Group, entry_of
from .keys import Ids, Keys
from .opening import NIGHT, connected, explained, get_fact, make_private, owner_facts, set_facts

__all__ = ["State", "StateError"]

IN_MEMORY = Path(":memory:")
# Outcomes on their way to the records: sorting them by id first halves the time.
UNSORTED = "CREATE TEMP TABLE unsorted AS SELECT * FROM records WHERE false"
ROWS_AT_ONCE = 64  # in one statement: half the cost of one statement for each
SEAL_SIZE = 16  # bytes, before each part of what is remembered
ROW = f"({','.join('?' * len(Entry._fields))})"


class StateError(ConfigError):
    """The state could not be written: the disk is full, or has failed."""


class State(Closing):
    """What earlier runs did. Close it, or use it in a `with` block; one process has it at a time.

    Keep one for each roster and each endpoint.

        with State("state.db", config) as state:
            ...

    Args:
        path: The file; made if it does not exist, readable by its owner alone. None for a state
            in memory, which ends when it is closed.
        config: The endpoint and the client of these records; a state of others is refused. None
            to open it without checking its owner.
        ids: "hashed", or "plain" for ids as they are; fixed from the first run on.
        create: Whether the file may be made.

    Attributes:
        path: The file.
        keys: How it keeps ids and hashes.
        lock: Held by the thread that uses the database.
        is_in_use: Whether a run writes to it.
        changes: How often it was changed since it was opened, but for the outcomes of a run.

    Raises:
        ConfigError: It belongs to another endpoint or client, is in use, is damaged, was written
            by another version, or keeps ids in the other form.
    """

    def __init__(
        self,
        path: str | Path | None,
        config: Config | None = None,
        ids: Ids | None = None,
        *,
        create: bool = True,
    ) -> None:
        self.path = IN_MEMORY if path is None else Path(path)
        self.lock = threading.RLock()
        self.is_in_use = False
        self.changes = 0
        self._unwritten_owner: dict[str, str] = {}
        with explained(self.path):
            if path is not None:
                make_private(self.path, create=create)
            self._db: sqlite3.Connection = connected(self.path)
            try:
                self._db.execute(UNSORTED)
                self.settle()
                self.keys = self._keys(ids)
                if config is not None:
                    self.claim(config)
            except BaseException:
                self._db.close()
                raise

    def _keys(self, ids: Ids | None) -> Keys:
        key, ids_before = self.meta("key"), self.meta("ids")
        if ids is None or ids == ids_before:
            return Keys(key, ids_before)
        if self.has_records():
            raise ConfigError(
                f"{self.path}: keeps {ids_before} ids, which cannot change later; use another state"
            )
        set_facts(self._db, ids=ids)
        return Keys(key, ids)

    def claim(self, config: Config) -> None:
        """Bind the state to an endpoint and a client, from its first outcome on.

        Raises:
            ConfigError: It is bound to others.
        """
        known = {name: self.meta(name) for name in ("tenant", "endpoint")}
        if known["tenant"] is None:
            known = self._unwritten_owner
        # Written with the first outcome: a wrong client id must not bind a state for ever.
        self._unwritten_owner = owner_facts(self.path, config, self.keys, known)

    def close(self) -> None:
        """Release the file for the next run, as soon as no other thread uses it."""
        with self.lock:
            # What cannot be settled now is settled at the next opening.
            with suppress(StateError, sqlite3.Error):
                self.settle()
            self._db.close()

    @property
    def ids(self) -> Ids:
        """Whether ids are kept "hashed" or "plain"."""
        return self.keys.ids

    def id_of(self, sourced_id: str) -> str:
        """Return an id as the state keeps it."""
        return self.keys.id_of(sourced_id)

    def hash_of(self, body: bytes) -> bytes:
        """Return the hash of a record, which means nothing without this state's key."""
        return self.keys.hash_of(body)

    def hashes_of(self, contents: Iterable[bytes]) -> list[bytes]:
        """Return the hash of each of them, as `hash_of` does."""
        return self.keys.hashes_of(contents)

    def owner_of(self, sourced_id: str) -> int:
        """Return the number that stands for a person in what is remembered of the files."""
        return self.keys.owner_of(sourced_id)

    # -- what is known

    def meta(self, name: str) -> Any:
        """Return a fact about the state as a whole, or None."""
        return get_fact(self._db, name)

    def lookup(self, key: str) -> tuple[bytes | None, str, str] | None:
        """Return hash, outcome and source of the record kept under an id, or None.

        Outcomes written since the last `settle` are not seen.
        """
        query = "SELECT hash, outcome, source FROM records WHERE id = ?"
        found: tuple[bytes | None, str, str] | None = self._db.execute(query, (key,)).fetchone()
        return found

    def find(self, sourced_id: str) -> Entry | None:
        """Return what is known of a person, by the sourcedId or by the id as it is kept here."""
        self.settle()
        query = "SELECT * FROM records WHERE id IN (?, ?) AND kind <> 'agent'"
        found = self._db.execute(query, (self.id_of(sourced_id), sourced_id)).fetchone()
        return found and Entry._make(found)

    def links_of(self, person: Entry) -> list[Entry]:
        """Return what is known of the links of a person."""
        self.settle()
        query = "SELECT * FROM records WHERE ? IN (student, user) ORDER BY id"
        return list(map(Entry._make, self._db.execute(query, (person.id,))))

    def entries(self) -> Iterator[Entry]:
        """Yield what is known of every record."""
        self.settle()
        return map(Entry._make, self._db.execute("SELECT * FROM records ORDER BY kind, id"))

    def entries_of(self, owners: Iterable[int]) -> Iterator[Entry]:
        """Yield what is known of some people and their links, in the order of `entries`."""
        self.settle()
        self._db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (owner TEXT PRIMARY KEY)")
        self._db.execute("DELETE FROM wanted")
        self._db.executemany("INSERT INTO wanted VALUES (?)", ((f"{one:016x}",) for one in owners))
        owner = "substr({}, 1, 16)"
        if self.ids == "plain":
            self._db.create_function("owner", 1, self._owner_text, deterministic=True)
            owner = "owner({})"
        wanted = {name: f"{owner.format(name)} IN wanted" for name in ("id", "student", "user")}
        query = f"""SELECT * FROM records WHERE CASE kind
                    WHEN 'agent' THEN {wanted["student"]} OR {wanted["user"]}
                    ELSE {wanted["id"]} END ORDER BY kind, id"""  # noqa: S608
        return map(Entry._make, self._db.execute(query))

    def _owner_text(self, key: str) -> str:
        return f"{self.keys.owner_of_key(key):016x}"

    def has_records(self) -> bool:
        """Whether anything is known; outcomes since the last `settle` are not seen."""
        return bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM records)").fetchone()[0])

    def count(self) -> dict[tuple[str, str], int]:
        """Return how many records there are of each kind and outcome."""
        self.settle()
        query = "SELECT kind, outcome, count(*) FROM records GROUP BY kind, outcome"
        return {(kind, outcome): count for kind, outcome, count in self._db.execute(query)}

    def is_blank(self) -> bool:
        """Whether it is in memory and empty, so that it cannot tell who is at TimeBack."""
        return self.path == IN_MEMORY and not self.count()

    def held(self) -> dict[str, int]:
        """Return how many records of each kind the server holds, by `Entry.is_held`."""
        self.settle()
        query = f"""SELECT kind, count(*) FROM records WHERE outcome NOT IN {REMOVED_OUTCOMES}
                    GROUP BY kind"""  # noqa: S608
        return dict(self._db.execute(query).fetchall())

    def held_by_source(self) -> Counter[Group]:
        """Return the same for each source and kind."""
        self.settle()
        query = f"""SELECT source, kind, count(*) FROM records
                    WHERE outcome NOT IN {REMOVED_OUTCOMES} GROUP BY source, kind"""  # noqa: S608
        return Counter({Group(*group): count for *group, count in self._db.execute(query)})

    # -- what is new

    def write(self, batch: bytes | bytearray) -> None:
        """Write a batch of outcomes, all or none. A hash of None keeps the one that is there.

        They show in the records after `settle`, and after the state is opened again.

        Args:
            batch: Entries in the form of `line`, one after the other.

        Raises:
            StateError: The disk is full or has failed; nothing of the batch is kept.
        """
        with self._together():
            if self._unwritten_owner:
                set_facts(self._db, **self._unwritten_owner)
            self._db.execute("INSERT INTO outcomes VALUES (?)", (batch,))
        self._unwritten_owner = {}

    def _fold(self) -> None:
        """Bring outcomes to their records, within the caller's transaction."""
        for (batch,) in self._db.execute("SELECT lines FROM outcomes ORDER BY rowid"):
            # `bytes.splitlines` raises a TypeError if damage has made it another type.
            remaining = map(entry_of, bytes.splitlines(batch))
            while rows := list(islice(remaining, ROWS_AT_ONCE)):
                self._db.execute(
                    f"INSERT INTO unsorted VALUES {','.join([ROW] * len(rows))}",  # noqa: S608
                    list(chain.from_iterable(rows)),
                )
        # A new record is taken as it is. Of a known one the last outcome counts, except for:
        #   kind    after a failure the server still has the record as the kind it was
        #   hash    None, for "nothing new was saved", leaves the hash of the last saved version
        #   source  that of JSON Lines and of fragments is only borrowed from another file
        self._db.execute(
            f"""INSERT INTO records SELECT * FROM unsorted WHERE true ORDER BY id, rowid
               ON CONFLICT (id) DO UPDATE SET
               kind = iif(excluded.outcome = 'failed', kind, excluded.kind),
               hash = coalesce(excluded.hash, hash), outcome = excluded.outcome,
               status = excluded.status, attempts = excluded.attempts, time = excluded.time,
               source = iif(excluded.source IN {BORROWING}, source, excluded.source)"""  # noqa: S608
        )
        self._db.execute("DELETE FROM unsorted")
        self._db.execute("DELETE FROM outcomes")

    def begin(
        self,
        changing: Iterable[str],
        changed_source: Iterable[tuple[str, str]],
        facts: Mapping[str, object],
    ) -> None:
        """Prepare for a run.

        Args:
            changing: Ids, as they are kept here, of records about to be overwritten. Their
                outcome becomes unknown: after a kill, the earlier version must not count as saved.
            changed_source: The new source, and the id as it is kept here, of unchanged records
                that come from another file now.
            facts: Facts about the state as a whole.

        Raises:
            StateError: The disk is full or has failed.
        """
        # A power cut may lose outcomes, but never the mark that one is unknown.
        self.changes += 1
        with self._failing():
            self._db.execute("PRAGMA synchronous=FULL")
        with self._together():
            self._fold()  # an earlier outcome must not come after this
            self._db.executemany(
                "UPDATE records SET outcome = 'unknown' WHERE id = ?", ((key,) for key in changing)
            )
            self._db.executemany("UPDATE records SET source = ? WHERE id = ?", changed_source)
            set_facts(self._db, **facts)
        self._db.execute("PRAGMA synchronous=NORMAL")

    def settle(self) -> None:
        """Bring all outcomes written so far to their records.

        Raises:
            StateError: The disk is full or has failed.
        """
        if self._db.execute("SELECT EXISTS (SELECT 1 FROM outcomes)").fetchone()[0]:
            with self._together():
                self._fold()

    # -- what the files were like

    def remembered_head(self) -> bytes | None:
        """Return the head of what is remembered of the files; None if it no longer holds.

        Raises:
            ValueError: It is damaged.
        """
        if not self._has_night():
            return None
        found = self._db.execute("SELECT content FROM night_head").fetchone()
        return found and self._unsealed(HEAD, found[0])

    def _has_night(self) -> bool:
        query = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'night_head')"
        return bool(self._db.execute(query).fetchone()[0])

    def remembered(self, part: str) -> Iterator[bytes]:
        """Yield the groups of one part, in their order.

        Raises:
            ValueError: One of them is damaged.
        """
        query = "SELECT rowid FROM night WHERE part = ? ORDER BY rowid"
        for place in self._db.execute(query, (part,)).fetchall():
            query = "SELECT content FROM night WHERE rowid = ?"
            (content,) = self._db.execute(query, place).fetchone()
            yield self._unsealed(part, content)

    def remember(self, parts: Iterable[tuple[str, bytes]]) -> None:
        """Remember what the files were like, now that all of their records are settled.

        Args:
            parts: Names and groups; the head comes last, and without it nothing is remembered.
                What was remembered before can be read meanwhile.

        Raises:
            StateError: The disk is full or has failed.
        """
        with self._together():
            self._fold()
            for statement in NIGHT:
                self._db.execute(statement)
            last = self._db.execute("SELECT coalesce(max(rowid), 0) FROM night").fetchone()
            self._db.execute("DELETE FROM night_head")
            for part, content in parts:
                sealed = self._seal(part, content) + content
                if part == HEAD:
                    self._db.execute("INSERT INTO night_head VALUES (?)", (sealed,))
                else:
                    self._db.execute("INSERT INTO night VALUES (?,?)", (part, sealed))
            self._db.execute("DELETE FROM night WHERE rowid <= ?", last)

    def _seal(self, part: str, content: bytes) -> bytes:
        return self.hash_of(part.encode() + b"\n" + content)

    def _unsealed(self, part: str, sealed: bytes) -> bytes:
        seal, content = sealed[:SEAL_SIZE], sealed[SEAL_SIZE:]
        if self._seal(part, content) != seal:
            raise ValueError(f"{part}: is damaged")
        return content

    def note(self, **facts: Any) -> None:
        """Write facts about the state as a whole.

        Raises:
            StateError: The disk is full or has failed.
        """
        with self._together():
            set_facts(self._db, **facts)

    def forget(self, sourced_ids: Iterable[str]) -> int:
        """Delete everything known of people and their links; return the number of deleted rows.

        What is remembered of the files goes as well, so that the next run reads all of them.

        Raises:
            StateError: The disk is full or has failed.
        """
        count = 0
        self.changes += 1
        with self._together():
            self._fold()
            for key in map(self.id_of, sourced_ids):
                query = "DELETE FROM records WHERE ? IN (id, student, user)"
                count += self._db.execute(query, (key,)).rowcount
            if self._has_night():  # the lines of the files were theirs, too
                self._db.execute("DELETE FROM night_head")
                self._db.execute("DELETE FROM night")
        with self._failing():  # deleted rows must not be left in the file
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Run a block as one transaction."""
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
                f"{self.path}: could not be written ({error}); free disk space there and for "
                "temporary files, then run again to continue"
            ) from None
