"""Leave out what is as it was last night, and remember what tonight is like.

What was made of a line is told by its mark: the kind of its person, and the findings about it. A
line is remembered only if it alone decides them; everybody of whom another line speaks is read
again next night.
"""

import datetime
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain

from ...errors import ConfigError
from .codes import Severity
from .comparison import MOST_CHANGED, OWNERS, Comparison, digests_of, numbers_of
from .database import RosterDatabase
from .files import DataFile, reading
from .findings import Findings
from .memory import HEAD, LINKS, NAMES, OPEN, Found, Head, Memory, grouped, lines_of
from .prints import DIGEST_SIZE, LINES_IN_GROUP, UNMARKED, Prints
from .records import chunks
from .rows import Rows

__all__ = ["Night"]

MOST_MARKS = 255
MOST_FOUND = 10_000  # lines whose findings are kept until they are settled
MOST_KNOWN_OWNERS = 10_000
# Findings about a whole file that its rows decide: no line of it stands for itself.
OF_ALL_ROWS = {"column-nameless", "dates-swapped", "mode-doubtful"}
# What a row may be made into that is remembered; "" for a row of another file than one of people.
KINDS = ("", "student", "user")
BLOCK = 1 << 20
GROUPS_AT_ONCE = 2
ROWS_AT_ONCE = 500


class Night:
    """What is not read, and what will be remembered.

    Args:
        database: Of the roster.
        findings: Of the roster.
        memory: What last night was; it must not change until the roster is planned.
        today: The day of the run.

    Attributes:
        still: How many people are not read, by their kind, and their links as "agent".
    """

    def __init__(
        self, database: RosterDatabase, findings: Findings, memory: Memory, today: datetime.date
    ) -> None:
        self._database, self._findings, self._memory = database, findings, memory
        self._today, self._at_first = today.toordinal(), memory.changes
        self._owner_of = lru_cache(MOST_KNOWN_OWNERS)(memory.owner_of)
        self._context = b""
        self._data: dict[str, DataFile] = {}
        self._digests: dict[str, bytes] = {}
        self._comparison: Comparison | None = None  # None while everything is read
        self.still: Counter[str] = Counter()
        self._marks: dict[Found, int] = {}
        self._open: set[int] = set()  # people who have to be read again next night
        self._is_kept = True
        # Of lines that are not settled: code and field of each finding; None if that is not all.
        self._found: dict[tuple[str, int], list[tuple[str, str]] | None] = {}
        self._settled: dict[str, int] = {}
        self._late: set[tuple[str, int]] = set()  # lines with findings after they were settled
        self._books: dict[str, _Book] = {}

    # -- before anything is read

    def begin(self, files: Sequence[Rows], others: Mapping[str, DataFile], facts: bytes) -> None:
        """Compare the files with last night's, and choose the lines that have to be read.

        Args:
            files: Those of people and of what is said of them.
            others: Those of which every line concerns everybody, by their names from run to run.
            facts: Whatever else decides what the lines say.
        """
        self._data = {rows.name: rows.table.file for rows in files} | dict(others)
        self._digests = {name: _digest(file) for name, file in self._data.items()}
        context = b"".join([facts, *map(self._digests.__getitem__, others)])
        (self._context,) = self._memory.hashes_of([context])
        comparison = self._compared(files)
        if comparison is None:
            self._database.forget_prints()
            for rows in files:
                rows.table.wanted = None
        else:
            self._comparison, self.still = comparison, comparison.still
            self._marks = {found: mark for mark, found in enumerate(comparison.head.found, 1)}
            for rows in files:
                self._choose(comparison, rows)
        for rows in files:
            book = _Book(self._database, rows, self._memory, self.doubt)
            self._books[rows.file] = book
            rows.table.watch = book.read
        self._findings.watch = self._watch

    def _compared(self, files: Sequence[Rows]) -> Comparison | None:
        """Return what differs from last night; None if everything has to be read."""
        with self._memory.lock:
            try:
                packed = self._memory.remembered_head()
                head = None if packed is None else Head.from_bytes(packed)
                if head is None or head.context != self._context or head.day > self._today:
                    return None
                found = Comparison(self._database, self._memory, head, self._today)
                return found if found.is_useful(files, self._digests) else None
            except ValueError:  # the memory is damaged
                return None

    def _choose(self, comparison: Comparison, rows: Rows) -> None:
        def repeat(line: int, code: str, field: str) -> None:
            self._findings.add(code, rows.file, line, field)

        comparison.choose(rows, repeat)

    # -- while it is read

    def is_to_be_linked(self, one: str, other: str) -> bool:
        """Whether a reference has to be read: one of both people is a changed one."""
        if self._comparison is None:
            return True
        changed = self._comparison.changed
        return self._owner_of(one) in changed or self._owner_of(other) in changed

    def noted(
        self, rows: Rows, turn: Callable[[Mapping[str, str]], int] | None = None
    ) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield rows of another file than one of people, and note whom they speak of.

        Args:
            rows: The rows.
            turn: Returns the day from which on a row says something else, as a number, or 0.
        """
        field = OWNERS[rows.layout.target]
        for line, row in rows:
            self.settle(rows.file, line, row, row.get(field), "", turn(row) if turn else 0)
            yield line, row

    def settle(
        self,
        file: str,
        line: int,
        row: Mapping[str, str],
        sourced_id: str | None,
        kind: str,
        turn: int = 0,
    ) -> None:
        """Note what became of one row; what it says by itself has been found."""
        self._settled[file] = line
        found = self._found.pop((file, line), _NOTHING)
        if sourced_id is None:
            return
        mark = UNMARKED
        if found is not None and row.get("status", "active") == "active" and kind in KINDS:
            mark = self._mark((kind, tuple(found)))
        self._books[file].put(line, sourced_id, mark, turn)
        if len(self._found) > MOST_FOUND:  # of rows that are left out
            self._found = {key: each for key, each in self._found.items() if key > (file, line)}

    def _mark(self, found: Found) -> int:
        mark = self._marks.get(found, UNMARKED)
        if mark == UNMARKED and len(self._marks) < MOST_MARKS:
            mark = self._marks[found] = len(self._marks) + 1
        return mark

    def _watch(
        self, code: str, severity: Severity, file: str, line: int, field: str, detail: str
    ) -> None:
        """Note a finding."""
        # Findings that a line makes by itself have no detail, cost nothing, and come before it is
        # settled. Any other may depend on another line.
        key = file, line
        if code in OF_ALL_ROWS:
            self._is_kept = False
        elif file not in self._books or not line:
            return
        elif line <= self._settled.get(file, 0):
            self._late.add(key)
            self._is_kept = self._is_kept and len(self._late) <= MOST_CHANGED
        elif severity == "error" or detail:
            self._found[key] = None
        elif (found := self._found.setdefault(key, [])) is not None:
            found.append((code, field))

    def forgo(self) -> None:
        """Note that lines say less than their file should, so that nothing is remembered."""
        self._is_kept = False

    def doubt(self, owner: int) -> None:
        """Note that somebody has to be read next night, whatever their lines are."""
        self._open.add(owner)
        if len(self._open) > MOST_CHANGED:
            self._is_kept = False
            self._open.clear()

    def doubt_people(self, people: Iterable[str]) -> None:
        """Do the same by their sourcedIds."""
        for person in people:
            self.doubt(self._owner_of(person))

    def finish(self) -> None:
        """Note that all is read, and that the files make no more findings.

        Raises:
            ConfigError: A file has changed since it was compared.
        """
        self._findings.watch = None
        self._found.clear()
        for book in self._books.values():
            book.close()
        for file, line in self._late if self._is_kept else ():
            packed = self._database.print_group(file, line // LINES_IN_GROUP)
            assert packed is not None
            self.doubt(Prints.unpacked(packed).owners[line % LINES_IN_GROUP])
        self._late.clear()
        # Nothing was read of a file that is as it was last night, if no line of it had to be read.
        before = self._comparison.head.files if self._comparison else {}
        unread = {book.name for book in self._books.values() if not book.last}
        for name, data in self._data.items():
            if name in unread and before.get(name, (b"",))[0] == self._digests[name]:
                continue
            if _digest(data) != self._digests[name]:
                # What is still was counted by lines that may now be those of others.
                if self._comparison is not None:
                    raise ConfigError(f"{data.name}: was changed while it was read; run again")
                self._is_kept = False

    # -- once it is read

    def is_of(self, memory: Memory) -> bool:
        """Whether this is a night of a memory that has not changed since."""
        return memory is self._memory and memory.changes == self._at_first

    @property
    def changed(self) -> set[int] | None:
        """Whose records may be absent, or other ones than last night; None for everybody."""
        return None if self._comparison is None else self._comparison.changed

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Yield what is to be remembered of this night; nothing if it would not be sure.

        Raises:
            ValueError: What was remembered until now is damaged.
        """
        if not self._is_kept:
            return
        groups = Counter[str]()
        for part, group in self._groups():
            groups[part] += 1
            yield part, group
        before = self._comparison.last if self._comparison else {}
        books = self._books.values()
        last = {book.name: max(book.last, before.get(book.name, 0)) for book in books}
        files = {name: (digest, last.get(name, 0)) for name, digest in self._digests.items()}
        yield HEAD, Head(self._context, self._today, [*self._marks], files, groups).packed()

    def _groups(self) -> Iterator[tuple[str, bytes]]:
        for file, book in self._books.items():
            for packed in self._database.prints(file):
                yield lines_of(book.name), packed
        for part, found in (
            (LINKS, self._links()), (NAMES, self._names()), (OPEN, iter(self._open)),
        ):  # fmt: skip
            for group in grouped(found):
                yield part, group

    def _links(self) -> Iterator[int]:
        if self._comparison is not None:
            yield from self._comparison.still_links()
        for some in chunks(self._database.links(), ROWS_AT_ONCE):
            yield from numbers_of(self._memory, (person for link in some for person in link[:2]))

    def _names(self) -> Iterator[int]:
        if self._comparison is not None:
            yield from self._comparison.still_names()
        for some in chunks(self._database.names(), ROWS_AT_ONCE):
            yield from numbers_of(self._memory, chain.from_iterable(some))


class _Book:
    """The prints of one file while it is read.

    Args:
        database: Takes them.
        rows: Those of the file.
        memory: Makes digests.
        doubt: Takes the owner of each line that has no mark.

    Attributes:
        name: The name from run to run.
        last: The last line that was read; 0 if none was.
    """

    def __init__(
        self, database: RosterDatabase, rows: Rows, memory: Memory, doubt: Callable[[int], None]
    ) -> None:
        self._database, self._memory, self._doubt = database, memory, doubt
        self._file, self.name = rows.file, rows.name
        self._unwritten: list[tuple[int, str, int, int]] = []
        self._groups: dict[int, Prints] = {}  # the one that was used last comes last
        self._number = -1  # of that
        self.last = 0

    def read(self, numbers: Sequence[int], lines: Sequence[str]) -> None:
        """Note the digests of lines that are read; a second time, nothing is done."""
        if numbers[-1] <= self.last:
            return
        digests = digests_of(self._memory, lines)
        if len(numbers) == numbers[-1] - numbers[0] + 1:  # nearly always, and then this is quicker
            first, rest = numbers[0], digests
            while rest:
                room = LINES_IN_GROUP - first % LINES_IN_GROUP
                self._put_digests(first, b"".join(rest[:room]))
                first, rest = first + room, rest[room:]
        else:
            for number, digest in zip(numbers, digests, strict=True):
                self._put_digests(number, digest)
        self.last = numbers[-1]

    def _put_digests(self, line: int, digests: bytes) -> None:
        """Note the digests of lines of one group."""
        place = line % LINES_IN_GROUP * DIGEST_SIZE
        self._group(line // LINES_IN_GROUP).digests[place : place + len(digests)] = digests

    def put(self, line: int, sourced_id: str, mark: int, turn: int) -> None:
        """Note what became of a line."""
        self._unwritten.append((line, sourced_id, mark, turn))
        if len(self._unwritten) == ROWS_AT_ONCE:
            self._put_all()

    def _put_all(self) -> None:
        owners = numbers_of(self._memory, (own for _, own, _, _ in self._unwritten))
        for (line, _, mark, turn), owner in zip(self._unwritten, owners, strict=True):
            group, place = self._group(line // LINES_IN_GROUP), line % LINES_IN_GROUP
            group.owners[place], group.marks[place], group.turns[place] = owner, mark, turn
            if mark == UNMARKED:
                self._doubt(owner)
        self._unwritten.clear()

    def _group(self, number: int) -> Prints:
        if number == self._number:
            return self._groups[number]
        group = self._groups.pop(number, None)
        if group is None:
            packed = self._database.print_group(self._file, number)
            group = Prints.unpacked(packed) if packed else Prints.blank(LINES_IN_GROUP)
            if len(self._groups) == GROUPS_AT_ONCE:
                self._write(next(iter(self._groups)))
        self._number, self._groups[number] = number, group
        return group

    def close(self) -> None:
        """Write what is not written."""
        self._put_all()
        for number in [*self._groups]:
            self._write(number)
        self._number = -1

    def _write(self, number: int) -> None:
        self._database.put_prints(self._file, number, self._groups.pop(number).packed())


def _digest(file: DataFile) -> bytes:
    """Return the digest of a whole file."""
    found = hashlib.blake2b(digest_size=DIGEST_SIZE)
    with reading(file) as stream:
        while block := stream.read(BLOCK):
            found.update(block)
    return found.digest()


_NOTHING: list[tuple[str, str]] = []
