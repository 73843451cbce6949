"""Whom TimeBack has listed so far, on disk; the only module of exporting that holds SQL."""

import sqlite3
from collections.abc import Iterator

from .._closing import Closing

__all__ = ["Listed"]

AT_ONCE = 500


class Listed(Closing):
    """Ids of people, each once. Close it, or use it in a `with` block."""

    def __init__(self) -> None:
        # As with a roster's database: on disk for this connection alone, and gone with it.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
        self._db.execute("CREATE TABLE people (id TEXT PRIMARY KEY, may_learn INT) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def is_new(self, sourced_id: str, *, may_learn: bool) -> bool:
        """Note a person; return whether it is the first time."""
        query = "INSERT OR IGNORE INTO people VALUES (?,?)"
        return self._db.execute(query, (sourced_id, may_learn)).rowcount > 0

    def students(self) -> Iterator[str]:
        """Yield the ids of those who may be students."""
        query = "SELECT id FROM people WHERE may_learn AND id > ? ORDER BY id LIMIT ?"
        last = ""
        while rows := self._db.execute(query, (last, AT_ONCE)).fetchall():
            yield from (own for (own,) in rows)
            last = rows[-1][0]

    def close(self) -> None:
        """Delete everything."""
        self._db.close()
