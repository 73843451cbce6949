"""What is in a roster: students, users and links, each with its place, and what was found.

It lies in a temporary database that SQLite keeps for us alone and deletes with the connection,
so memory follows neither the number of people nor the order of the files.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from ...errors import ConfigError
from ...models import AgentLink, Student, User
from .._closing import Closing
from .findings import Findings
from .options import Resolved

__all__ = ["CHUNK", "RECORDS", "WIRE", "Count", "Roster", "Source", "writing"]

CHUNK = 500  # rows handled together
RECORDS = "records"  # the source of JSON Lines
WIRE: dict[str, Any] = {"student": Student, "user": User, "agent": AgentLink}
SCHEMA = """
CREATE TABLE people (
    id TEXT, kind TEXT, is_student INT, relation TEXT, status TEXT, file TEXT, line INT,
    body BLOB, username TEXT, gaps BLOB
);
CREATE TABLE roles (
    user TEXT, role_type TEXT, role TEXT, org TEXT, begin TEXT, end TEXT, profile TEXT, grade TEXT,
    status TEXT, line INT
);
CREATE TABLE births (id TEXT, birth TEXT, line INT);
CREATE TABLE profiles (user TEXT, username TEXT);
CREATE TABLE identities (identity TEXT, person TEXT);
CREATE TABLE refs (person TEXT, agent TEXT, relation TEXT, file TEXT, line INT);
CREATE TABLE loose (person TEXT, agent TEXT, file TEXT, line INT, is_unknown INT);
CREATE TABLE links (
    student TEXT, user TEXT, agent_id TEXT, relation TEXT, file TEXT, line INT,
    PRIMARY KEY (student, user, agent_id)
) WITHOUT ROWID;
"""


class Source(msgspec.Struct):
    """One file that people or links came from, for judging what is absent.

    Attributes:
        name: What it is called from run to run, whatever the file's name.
        mode: "bulk" or "delta".
        unreadable: Rows whose sourcedId cannot be read.
        is_doubtful: Whether the rows look like a delta, whatever the manifest says.
        has_agents: Whether it says who is linked to whom.
    """

    name: str
    mode: str
    unreadable: int = 0
    is_doubtful: bool = False
    has_agents: bool = False

    @property
    def is_delta(self) -> bool:
        """Whether its rows leave out what has not changed. JSON Lines hold whole records."""
        return self.mode == "delta" and self.name != RECORDS


class Count(NamedTuple):
    students: int
    users: int
    links: int
    left_out: int


class Roster(Closing):
    """Students, users and links that a package holds. Close it, or use it in a `with` block.

    Attributes:
        name: What it is called, fit to be shown.
        format: "OneRoster 1.1", "SDS v1", "JSON Lines" and so on.
        findings: What is wrong, odd or worth knowing.
        sources: The files that people and links came from, by name.
        files: What the files of roles and demographics ("births") are called.
        has_births: Whether it has any birth dates.
        has_all_births: Whether it has a full set of them.
        has_all_roles: Whether it has all roles, and not only those that have changed.
        db: Where it lies.
        lock: Held by whichever thread is in it.
        is_planned: Whether it has been compared with a state.
        count: How many of each there are, and rows that are left out.
        fingerprint: Changes whenever the same files would become other records.
    """

    def __init__(self, name: str, options: Resolved) -> None:
        self.name, self.format = name, ""
        self.findings = Findings(options.strict)
        self.sources: dict[str, Source] = {}
        self.files: dict[str, str] = {}
        self.has_births = self.has_all_births = self.is_planned = False
        self.has_all_roles = True
        self.fingerprint = options.fingerprint()
        self.count = Count(0, 0, 0, 0)
        self.lock = threading.RLock()
        # A database of its own on disk, deleted with its connection. Used by one thread at a time.
        self.db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + SCHEMA)
        self.db.execute("PRAGMA cache_size=-32768")
        self.db.execute("BEGIN")  # one transaction that never ends: a commit costs more than a row

    def records(self) -> Iterator[Student | User | AgentLink]:
        """Yield every record that is whole, people before links."""
        query = "SELECT kind, body FROM people WHERE kind IN ('student', 'user') ORDER BY rowid"
        for kind, body in self.db.execute(query):
            yield msgspec.json.decode(body, type=WIRE[kind])
        for row in self.db.execute("SELECT student, user, relation, agent_id FROM links"):
            yield AgentLink(*row)

    def close(self) -> None:
        """Delete everything that was read, once no other thread is in it."""
        self.db.interrupt()
        with self.lock:
            self.db.close()

    def __repr__(self) -> str:
        return f"<Roster {self.format}: {self.count}>"


@contextmanager
def writing() -> Iterator[None]:
    """Explain why a roster's database cannot be written, such as on a full disk."""
    try:
        yield
    except sqlite3.Error as error:
        raise ConfigError(
            f"the temporary database could not be written ({error}); SQLITE_TMPDIR may say where"
        ) from None
